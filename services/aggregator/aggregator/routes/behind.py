"""The events behind usage, for as long as Kafka holds them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from aggregator.behind import Behind, Spot, Wanted, look
from aggregator.cells import instant
from aggregator.compile import CompiledMeter, compile_meter
from aggregator.query import DECLARED, edges, selection
from aggregator.routes.meters import known_meter
from aggregator.schemas import BehindItem, BehindPage
from aggregator.values import plain
from common.auth import scope
from common.bus.types import BusError
from common.contracts.topics import EVENTS
from common.errors import INVALID_CURSOR, UNAVAILABLE, ApiError
from common.paging import Cursor, Limit, decode_cursor, encode_cursor

router = APIRouter(prefix="/v1", tags=["usage"])

_LISTING = "usage/events"


@router.get(
    "/usage/events",
    dependencies=[scope("usage:read")],
    summary="The events behind usage",
    openapi_extra=DECLARED,
)
async def list_events(
    request: Request,
    meter: Annotated[str, Query(max_length=200)],
    tenant: Annotated[str, Query(max_length=1000)],
    start: Annotated[str, Query(alias="from", max_length=64, description="RFC 3339.")],
    to: Annotated[str, Query(max_length=64, description="RFC 3339.")],
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> BehindPage:
    """The events that made a tenant's usage in [from, to), in the order of the log; times are cut
    down to slots of ten seconds, as for usage. `filter.<dimension>=<value>` keeps one value of a
    dimension. Follow `next` until it is null."""
    state = request.app.state
    compiled = compile_meter(await known_meter(state.pool, meter))
    chosen = selection(
        compiled.meter,
        tenants=[tenant],
        group_by=None,
        parameters=request.query_params.multi_items(),
    )
    since, until = edges("none", start, to, "UTC", datetime.now(UTC))
    wanted = Wanted(
        compiled,
        tenant,
        int(since.timestamp()) * 1000,
        int(until.timestamp()) * 1000,
        chosen.filters,
    )
    spot = await _spot(state, cursor)
    try:
        found = await look(state.bus, wanted, spot, limit)
    except BusError as error:
        raise ApiError(UNAVAILABLE, f"the log cannot be read now: {error}") from error
    following = None
    if found.following is not None:
        at = found.following
        following = encode_cursor(_LISTING, at.partition, at.offset, at.item, list(at.seen.items()))
    return BehindPage(
        meter=meter,
        tenant=tenant,
        is_whole=found.is_whole,
        items=[_item(compiled, one) for one in found.found],
        next=following,
    )


async def _spot(state: Any, cursor: str | None) -> Spot | None:
    key = decode_cursor(_LISTING, cursor, tuple[int, int, int, list[tuple[int, int]]])
    if key is None:
        return None
    partition, offset, item, seen = key
    is_there = 0 <= partition < state.partitions and item >= 0
    if not is_there or not 0 <= offset <= await state.bus.end_offset(EVENTS.name, partition):
        raise ApiError(INVALID_CURSOR, "the cursor belongs to another log")
    return Spot(partition, offset, item, dict(seen))


def _item(compiled: CompiledMeter, behind: Behind) -> BehindItem:
    event, value = behind.timed.event, behind.value
    return BehindItem(
        source=event.source,
        id=event.id,
        time=instant(behind.timed.at_ms),
        group=dict(zip(compiled.names, behind.group, strict=True)),
        value=value if isinstance(value, str) else plain(Decimal(value)),
        partition=behind.partition,
        offset=behind.timed.offset,
    )
