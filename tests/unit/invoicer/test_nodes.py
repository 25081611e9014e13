"""Asking ingest for its nodes: all pages, and every way in which it may not answer."""

from typing import Any

import httpx
import pytest

from invoicer.completeness import Node, NodesUnknown
from invoicer.nodes import ask_nodes


def client(*answers: httpx.Response | Exception) -> httpx.AsyncClient:
    """An ingest that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def test_all_pages_are_read_and_unknown_members_passed_over() -> None:
    pages: tuple[Any, ...] = (
        {"items": [{"node": "a", "sealed_through": "2026-12-01T00:00:00Z"}], "next": "c"},
        {"items": [{"node": "b", "sealed_through": None, "gaps": [], "epoch": "e"}], "next": None},
    )
    http = client(*(httpx.Response(200, json=page) for page in pages))
    found = await ask_nodes(http, "http://ingest")
    assert isinstance(found, list)
    assert [node.node for node in found] == ["a", "b"]
    assert found[1] == Node(node="b")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(503), "answered 503"),
        (httpx.Response(401), "answered 401"),
        (httpx.Response(200, text="<html>"), "cannot be read"),
        (httpx.Response(200, json={"items": [{"node": 1}]}), "cannot be read"),
        (httpx.Response(200, json={"items": [], "next": "again"}), "does not end"),
        (httpx.ConnectError("refused"), "ConnectError"),
        (httpx.ReadTimeout("slow"), "ReadTimeout"),
    ],
)
async def test_whatever_ingest_does_is_a_reason_to_wait(
    answer: httpx.Response | Exception, reason: str
) -> None:
    found = await ask_nodes(client(answer), "http://ingest")
    assert isinstance(found, NodesUnknown)
    assert reason in found.reason
