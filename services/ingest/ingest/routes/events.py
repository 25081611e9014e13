"""What became of an event."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request

from common.auth import scope
from ingest.lookup import find_event
from ingest.schemas import Attribute, EventStatus

router = APIRouter(tags=["events"])


@router.get("/v1/events", dependencies=[scope("events:read")], summary="What became of an event")
async def get_event(
    request: Request,
    source: Annotated[Attribute, Query()],
    event_id: Annotated[Attribute, Query(alias="id")],
) -> EventStatus:
    """Looks at what was decided first, then searches what is not processed yet."""
    state = request.app.state
    return await find_event(
        state.pool,
        state.bus,
        source,
        event_id,
        now_ms=time.time_ns() // 1_000_000,
        days=state.settings.ledger_days,
    )
