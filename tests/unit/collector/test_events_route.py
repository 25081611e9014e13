"""POST /v1/events when the client does not stay for the answer."""

from types import SimpleNamespace
from typing import Any

from fastapi import Request

from collector.routes.events import post_events


async def test_a_client_that_leaves_before_its_body_is_complete_is_no_fault() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'[{"specversion":', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [],
        "app": SimpleNamespace(state=SimpleNamespace(node=None)),
    }
    answer = await post_events(Request(scope, receive))
    assert answer.status_code == 499
