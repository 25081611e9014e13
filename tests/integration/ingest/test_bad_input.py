"""The other routes: bad input gets a coded answer, never a 500."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings

from common.paging import encode_cursor
from tests.integration.ingest.conftest import Ingest

BAD_REQUESTS = [
    ("/v1/events", 422, "invalid_request"),
    ("/v1/events?source=app", 422, "invalid_request"),
    ("/v1/events?source=&id=1", 422, "invalid_request"),
    ("/v1/events?source=a%00b&id=1", 400, "invalid_text"),
    ("/v1/events?source=a%0Ab&id=1", 422, "invalid_request"),
    (f"/v1/events?source=a&id={'x' * 257}", 422, "invalid_request"),
    ("/v1/dead-events?limit=0", 422, "invalid_request"),
    ("/v1/dead-events?limit=1e9", 422, "invalid_request"),
    ("/v1/dead-events?state=closed", 422, "invalid_request"),
    ("/v1/dead-events?cursor=made-up", 400, "invalid_cursor"),
    ("/v1/dead-events?cursor=W10", 400, "invalid_cursor"),
    ("/v1/nodes?cursor=WyJkZWFkLWV2ZW50cyIsNV0", 400, "invalid_cursor"),
    ("/v1/dead-events/0", 422, "invalid_request"),
    ("/v1/dead-events/nine", 422, "invalid_request"),
    (f"/v1/dead-events/{2**63}", 422, "invalid_request"),
    ("/v1/dead-events/77", 404, "not_found"),
    ("/v1/nothing", 404, "not_found"),
]


async def test_bad_requests(ingest: Ingest) -> None:
    for path, status, code in BAD_REQUESTS:
        answer = await ingest.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_cursors_of_numbers_beyond_the_database(ingest: Ingest) -> None:
    for key in (2**63, -(2**70), "text", None, 1.5):
        answer = await ingest.http.get(
            "/v1/dead-events", params={"cursor": encode_cursor("dead-events", key)}
        )
        assert answer.status_code in (400, 422), answer.text
    for node in ("a\0b", "\ud800", 5):
        cursor = encode_cursor("nodes", node) if node != "\ud800" else "x"
        answer = await ingest.http.get("/v1/nodes", params={"cursor": cursor})
        assert answer.status_code in (200, 400, 422), answer.text


async def test_dead_events_that_are_not_there(ingest: Ingest) -> None:
    for action in ("replay", "discard"):
        answer = await ingest.http.post(f"/v1/dead-events/77/{action}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_body_that_is_refused_unread_gets_its_answer(ingest: Ingest) -> None:
    for path in ("/v1/events", "/v1/batches"):
        answer = await ingest.http.post(path, content=b" " * (33 * 2**20))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 2**20

    answer = await ingest.http.post("/v1/events", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    await ingest.settled(received=0)


async def test_what_the_schema_allows_and_what_it_does_not(ingest: Ingest) -> None:
    """Cases made from the published schema, positive and negative: no fault for any."""
    url = str(ingest.http.base_url)

    def fuzz() -> None:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path in ("/healthz", "/readyz", "/metrics"):
                continue

            @given(case=operation.as_strategy())
            @settings(
                max_examples=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            def send(case: Any) -> None:
                answer = case.call(base_url=url)
                assert answer.status_code != 500, (case.as_curl_command(), answer.text)

            send()

    await asyncio.to_thread(fuzz)
    await ingest.accounting()
