"""Dead events: look, bring back, discard."""

import base64
import time
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Path, Query, Request

from common.auth import scope
from common.contracts.received import Envelope, envelope_record
from common.errors import NOT_FOUND, ApiError
from common.events import Rejection, validate
from common.paging import Cursor, Limit, decode_cursor, page
from common.telemetry import traceparent_headers
from ingest.accept import received_event
from ingest.errors import DEAD_EVENT_CLOSED, NOT_REPLAYABLE, STILL_INVALID
from ingest.schemas import (
    Attribute,
    DeadEvent,
    DeadEventDetail,
    DeadEventPage,
    DeadState,
    Origin,
)
from ingest.store import dead_events as store

router = APIRouter(tags=["dead events"])
_LISTING = "dead-events"
_READ, _MANAGE = scope("events:read"), scope("events:manage")
DeadId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/v1/dead-events", dependencies=[_READ], summary="What was received and not counted")
async def list_dead_events(
    request: Request,
    source: Annotated[Attribute | None, Query()] = None,
    code: Annotated[Attribute | None, Query()] = None,
    state: DeadState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> DeadEventPage:
    """Newest first."""
    key = decode_cursor(_LISTING, cursor, tuple[Annotated[int, "id"]])
    rows = await store.page(
        request.app.state.pool,
        source=source,
        code=code,
        state=state,
        before=key[0] if key else None,
        limit=limit + 1,
    )
    rows, following = page(_LISTING, rows, limit, lambda row: (row["id"],))
    return DeadEventPage(items=[DeadEvent(**_fields(row)) for row in rows], next=following)


@router.get("/v1/dead-events/{dead_id}", dependencies=[_READ], summary="One dead event")
async def get_dead_event(request: Request, dead_id: DeadId) -> DeadEventDetail:
    """With its bytes."""
    return _detail(await _existing(request.app.state.pool, dead_id))


@router.post(
    "/v1/dead-events/{dead_id}/replay",
    dependencies=[_MANAGE],
    status_code=202,
    summary="Count it after all",
)
async def replay(request: Request, dead_id: DeadId) -> DeadEventDetail:
    """Judges the event as if it came now, and sends it through the log again.

    It is counted at most once, however often this is called. A conflict cannot be replayed.
    """
    pool = request.app.state.pool
    row = await _existing(pool, dead_id)
    if row["truncated"] or row["code"].endswith("_conflict"):
        raise ApiError(NOT_REPLAYABLE, f"dead event {dead_id}: {row['code']}")
    _refuse_closed(row)
    judged = validate(row["place"], row["raw"], time.time_ns() // 1_000_000)
    if isinstance(judged, Rejection):
        raise ApiError(STILL_INVALID, judged.message, reason=judged.code)
    if not await store.move(pool, dead_id, "replaying", allowed=["open", "replaying"]):
        _refuse_closed(await _existing(pool, dead_id))
    received_at_ms = int(row["received_at"].timestamp() * 1000)
    envelope = Envelope(
        key=judged.source,
        received_at_ms=received_at_ms,
        events=[received_event(judged, row["place"], received_at_ms)],
        replay_of=dead_id,
    )
    record = envelope_record(envelope, traceparent_headers())
    await request.app.state.intake.append([(envelope.key, record)])
    return _detail(await _existing(pool, dead_id))


@router.post(
    "/v1/dead-events/{dead_id}/discard", dependencies=[_MANAGE], summary="Leave it uncounted"
)
async def discard(request: Request, dead_id: DeadId) -> DeadEventDetail:
    """It stays parked in the accounting. Discarding twice is discarding once."""
    pool = request.app.state.pool
    if not await store.move(pool, dead_id, "discarded", allowed=["open", "discarded"]):
        row = await _existing(pool, dead_id)
        raise ApiError(DEAD_EVENT_CLOSED, f"dead event {dead_id} is {row['state']}")
    return _detail(await _existing(pool, dead_id))


async def _existing(pool: asyncpg.Pool, dead_id: int) -> Any:
    row = await store.get(pool, dead_id)
    if row is None:
        raise ApiError(NOT_FOUND, f"there is no dead event {dead_id}")
    return row


def _refuse_closed(row: Any) -> None:
    if row["state"] not in ("open", "replaying"):
        raise ApiError(DEAD_EVENT_CLOSED, f"dead event {row['id']} is {row['state']}")


def _fields(row: Any) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "index": row["place"],
        "origin": Origin(partition=row["origin_partition"], offset=row["origin_offset"]),
    } | {
        name: row[name]
        for name in (
            "state",
            "code",
            "message",
            "source",
            "event_id",
            "node",
            "epoch",
            "seq",
            "truncated",
            "received_at",
            "changed_at",
        )
    }


def _detail(row: Any) -> DeadEventDetail:
    raw: bytes = row["raw"]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    return DeadEventDetail(
        **_fields(row), body=text, body_base64=base64.b64encode(raw).decode("ascii")
    )
