"""Decisions: what the edges follow, and why a tenant may or may not go on."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from common.auth import scope
from common.contracts.decisions import Decision
from common.paging import Cursor, Limit, decode_cursor, page
from throttler import explain, store
from throttler.feed import Feed

router = APIRouter(tags=["decisions"], dependencies=[scope("decisions:read")])
EVENT_STREAM = "text/event-stream"
REVISION_MAX = 2**63 - 1
_encoder = msgspec.json.Encoder(decimal_format="string")

TenantKey = Annotated[str, Path(min_length=1, max_length=256, description="The tenant's key.")]


@router.get("/v1/decisions", response_model=None)
async def get_decisions(
    request: Request,
    since: Annotated[
        int | None, Query(ge=0, le=REVISION_MAX, description="The last revision you have.")
    ] = None,
    wait: Annotated[
        float, Query(ge=0, le=30, description="Seconds to wait for news (JSON only).")
    ] = 0,
    limit: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    last_event_id: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Current decisions above `since`, by revision; everything (`snapshot`: true) without it, or
    when it is not a revision of this throttler.

    As text/event-stream: `snapshot` (where needed), then `delta` events, and `heartbeat`s that
    tell silence from no news. The id of each event is the revision to resume from.
    """
    feed: Feed = request.app.state.feed
    if EVENT_STREAM in accept.lower():
        return StreamingResponse(
            _stream(feed, _last_event(last_event_id, since)),
            media_type=EVENT_STREAM,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    if since is None or not await feed.is_known(since):
        revision, items = await feed.snapshot()
        return _answer(items[:limit], revision, snapshot=True, more=len(items) > len(items[:limit]))
    if wait:
        await feed.wait(since, wait)
    pool = request.app.state.pool
    most = limit or 10_000
    items = await store.decisions_since(pool, since, most + 1)
    more = len(items) > most
    items = items[:most]
    revision = await store.decisions_revision(pool) if more else _last(items, since)
    return _answer(items, revision, snapshot=False, more=more)


@router.get("/v1/decisions/{tenant}", response_model=None)
async def get_decision(tenant: TenantKey, request: Request) -> Response:
    """The tenant's decision with its reason, each rule against the usage of this moment, and the
    last entries of the log. A tenant that nobody knows is allowed, and `known` says so."""
    async with request.app.state.pool.acquire() as connection:
        found = await explain.explain(connection, tenant, request.app.state.clock())
    return Response(_encoder.encode(found), media_type="application/json")


@router.get("/v1/decisions/{tenant}/log", response_model=None)
async def get_decision_log(
    tenant: TenantKey, request: Request, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Every decision ever written for the tenant, newest first."""
    before = decode_cursor("decision-log", cursor, tuple[int])
    rows = await store.decision_log(
        request.app.state.pool, tenant, before[0] if before else None, limit + 1
    )
    rows, following = page("decision-log", rows, limit, lambda row: (row["revision"],))
    body = {"items": [explain.log_entry(row) for row in rows], "next": following}
    return Response(_encoder.encode(body), media_type="application/json")


async def _stream(feed: Feed, since: int | None) -> AsyncIterator[bytes]:
    async for event in feed.follow(since):
        yield event.encode()


def _last_event(header: str | None, since: int | None) -> int | None:
    """The header of a reconnecting EventSource wins; what is not a revision means "nothing"."""
    if header is None:
        return since
    text = header.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _last(items: list[Decision], since: int) -> int:
    return items[-1].revision if items else since


def _answer(items: list[Decision], revision: int, *, snapshot: bool, more: bool) -> Response:
    body: dict[str, Any] = {
        "revision": revision,
        "snapshot": snapshot,
        "items": items,
        "next": str(items[-1].revision) if more else None,
    }
    return Response(_encoder.encode(body), media_type="application/json")
