"""Meters, and the events they could not read."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from aggregator import meters as domain
from aggregator.errors import INVALID_METER, METER_CHANGED, METER_MEANING, UNKNOWN_METER
from aggregator.schemas import (
    BackfillView,
    MeterDefinition,
    MeterDetail,
    MeterPage,
    MeterView,
    UnreadablePage,
    UnreadableView,
)
from aggregator.store import backfills, unreadable
from aggregator.store import meters as store
from aggregator.values import Reason
from common.auth import scope
from common.contracts.meters import Meter
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page

router = APIRouter(prefix="/v1/meters", tags=["meters"])


@router.put("/{slug}", dependencies=[scope("meters:write")], summary="Define a meter")
async def put_meter(
    slug: str,
    body: MeterDefinition,
    request: Request,
    response: Response,
    dry_run: Annotated[bool, Query(description="Check it and change nothing.")] = False,
    in_force: Annotated[
        int | None,
        Query(ge=0, lt=2**63, description="Only if it is at this revision; 0: if there is none."),
    ] = None,
) -> MeterView:
    """Create the meter (201), or find it as it is (200). Its unit may be corrected; any other
    change is refused with 409. Usage from before is folded from what Kafka still holds."""
    wanted = _definition(slug, body)
    pool = request.app.state.pool
    known = await store.meter(pool, slug)
    if known is not None and domain.same(known, wanted):
        return MeterView.of(known)
    if dry_run:
        _require_same_meaning(known, wanted)
        return MeterView.of(wanted)
    async with pool.acquire() as connection, connection.transaction():
        revision = await store.lock(connection)
        known = await store.meter(connection, slug)
        if known is not None and domain.same(known, wanted):
            return MeterView.of(known)
        _require_revision(known, in_force, slug)
        _require_same_meaning(known, wanted)
        if known is None:
            response.status_code = 201
        made = msgspec.structs.replace(wanted, revision=revision)
        await store.put(connection, made)
    return MeterView.of(made)


@router.get("", dependencies=[scope("usage:read")], summary="List meters")
async def list_meters(request: Request, limit: Limit = 100, cursor: Cursor = None) -> MeterPage:
    """Meters by slug."""
    key = decode_cursor("meters", cursor, tuple[str])
    rows = await store.meters(request.app.state.pool, key[0] if key else "", limit + 1)
    items, following = page("meters", rows, limit, lambda meter: (meter.slug,))
    return MeterPage(items=[MeterView.of(meter) for meter in items], next=following)


@router.get("/{slug}", dependencies=[scope("usage:read")], summary="Show a meter")
async def get_meter(slug: str, request: Request) -> MeterDetail:
    """A meter, and how much of its backfill is left."""
    pool = request.app.state.pool
    meter = await known_meter(pool, slug)
    shards, records = await backfills.left(pool, slug)
    return MeterDetail(
        **MeterView.of(meter).model_dump(),
        backfill=BackfillView(partitions=shards, records_left=records),
    )


@router.get(
    "/{slug}/unreadable", dependencies=[scope("usage:read")], summary="What a meter could not read"
)
async def list_unreadable(
    slug: str, request: Request, limit: Limit = 100, cursor: Cursor = None
) -> UnreadablePage:
    """Events that are counted as events but left out of this meter, newest first."""
    pool = request.app.state.pool
    await known_meter(pool, slug)
    listing = f"unreadable/{slug}"
    key = decode_cursor(listing, cursor, tuple[int])
    rows = await unreadable.listed(pool, slug, key[0] if key else None, limit + 1)
    items, following = page(listing, rows, limit, lambda row: (row["id"],))
    return UnreadablePage(items=[_unreadable(row) for row in items], next=following)


async def known_meter(connection: Any, slug: str) -> Meter:
    """The meter `slug`, or the answer 404."""
    meter = await store.meter(connection, slug)
    if meter is None:
        raise ApiError(UNKNOWN_METER, f"there is no meter {slug[:80]!r}")
    return meter


def _require_revision(known: Meter | None, expected: int | None, slug: str) -> None:
    found = known.revision if known is not None else 0
    if expected is not None and expected != found:
        raise ApiError(METER_CHANGED, f"meter {slug} is at revision {found}, not at {expected}")


def _require_same_meaning(known: Meter | None, wanted: Meter) -> None:
    changed = domain.changed_meaning(known, wanted) if known is not None else []
    if changed:
        raise ApiError(
            METER_MEANING,
            f"meter {wanted.slug} exists with another {', '.join(changed)}",
            changed=changed,
        )


def _definition(slug: str, body: MeterDefinition) -> Meter:
    try:
        if body.slug is not None and body.slug != slug:
            raise domain.BadMeter("slug", "is not the slug of the path")
        return domain.define(
            slug=slug,
            event_type=body.event_type,
            aggregation=body.aggregation,
            value=body.value,
            group_by=body.group_by,
            unit=body.unit,
        )
    except domain.BadMeter as error:
        raise ApiError(
            INVALID_METER,
            f"{error.field}: {error}",
            errors=[{"path": f"body.{error.field}", "message": str(error)}],
        ) from None


def _unreadable(row: Any) -> UnreadableView:
    return UnreadableView(
        source=row["source"],
        id=row["event_id"],
        tenant=row["tenant"],
        time=row["at"],
        reason=row["reason"],
        message=Reason[row["reason"]].value,
        found=row["found"],
        noted_at=row["noted_at"],
    )
