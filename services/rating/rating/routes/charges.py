"""Charges: what each subscription owes for each price and period, and why."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request

from common.auth import scope
from common.contracts.charges import Charge
from common.contracts.rollups import group_key
from common.errors import INVALID_REQUEST, ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from common.usage import RowKey, Usage, UsageRow
from rating.errors import UNKNOWN_CHARGE, WITHDRAWN_CHARGE
from rating.explained import ExplainedOut, explain
from rating.holding import LevelPage
from rating.parts.usage import Levels
from rating.schemas import ChargeList, ChargeOut, Instant
from rating.store import charges
from rating.store.levels import LevelKey
from rating.store.usage import StoredUsage

router = APIRouter(tags=["charges"])
Id = Annotated[str, Path(min_length=1, max_length=300)]
Filter = Annotated[str | None, Query(max_length=256)]


@router.get("/v1/charges", dependencies=[scope("charges:read")])
async def list_charges(
    request: Request,
    tenant: Filter = None,
    subscription: Filter = None,
    start: Annotated[Instant | None, Query(alias="from")] = None,
    end: Annotated[Instant | None, Query(alias="to")] = None,
    withdrawn: Annotated[
        bool, Query(description="Also those whose period no longer exists.")
    ] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ChargeList:
    """Charges of periods that share an instant with [from, to), by the begin of the period."""
    if start is not None and end is not None and end <= start:
        raise ApiError(INVALID_REQUEST, "query.to: must be after from")
    found = await charges.page(
        request.app.state.pool,
        tenant=tenant,
        subscription=subscription,
        start=start,
        end=end,
        withdrawn=withdrawn,
        after=decode_cursor("charges", cursor, tuple[datetime, str]),
        limit=limit + 1,
    )
    found, following = page(
        "charges", found, limit, lambda one: (msgspec.to_builtins(one.period_from), one.id)
    )
    return ChargeList(items=[ChargeOut.of(one) for one in found], next=following)


@router.get("/v1/charges/{id}/explain", dependencies=[scope("charges:read")])
async def explain_charge(
    id: Id,
    request: Request,
    limit: Limit = 1000,
    cursor: Cursor = None,
    levels_cursor: Annotated[
        str | None, Query(max_length=2000, description="`usage.levels.next` of the page before.")
    ] = None,
) -> ExplainedOut:
    """How a charge's amount came about: the meter, the hours, the steps of the price with their
    numbers, the rounding. `limit` and `cursor` page through the hours, `limit` and `levels_cursor`
    through the levels of a gauge; each names where the events behind it are listed."""
    state = request.app.state
    async with (
        state.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        charge = await charges.get(connection, id)
        if charge is None:
            raise ApiError(UNKNOWN_CHARGE, f"there is no charge {id}")
        if charge.withdrawn:
            raise ApiError(WITHDRAWN_CHARGE, charge.evidence["withdrawn"])
        now: Usage | None = None
        held: Levels | None = None
        rows: list[UsageRow] = []
        following = None
        listing = f"explain/{id}"
        after = decode_cursor(listing, cursor, RowKey)
        page_of_levels: LevelPage | None = None
        if charge.meter is not None:
            usage = StoredUsage()
            place = (charge.tenant, charge.meter, charge.period_from, charge.period_to)
            now = await usage.usage(connection, *place)
            rows = await usage.rows(connection, place, after, limit + 1)
            if "levels" in charge.evidence:
                [held] = await usage.levels(connection, [place], state.clock())
                page_of_levels = await _levels(connection, charge, levels_cursor, limit)
            rows, following = page(listing, rows, limit, lambda row: row.key)
    meter = state.meters.definition(charge.meter) if charge.meter is not None else None
    return explain(charge, meter, now, rows, following, held, page_of_levels)


async def _levels(connection: Any, charge: Charge, cursor: str | None, limit: int) -> LevelPage:
    """A page of what the charge counted, up to when it counted."""
    listing = f"explain/{charge.id}/levels"
    after = decode_cursor(listing, cursor, LevelKey)
    until = charge.evidence["levels"]["until"]
    if until is None:
        return LevelPage([])
    held = await StoredUsage().held_levels(
        connection,
        (charge.tenant, charge.meter or "", charge.period_from, charge.period_to),
        datetime.fromisoformat(until),
        after,
        limit + 1,
    )
    held, following = page(listing, held, limit, lambda one: (group_key(one.group), one.start))
    return LevelPage(held, following, is_whole=after is None and following is None)


@router.get("/v1/charges/{id}", dependencies=[scope("charges:read")])
async def get_charge(id: Id, request: Request) -> ChargeOut:
    """One charge."""
    charge = await charges.get(request.app.state.pool, id)
    if charge is None:
        raise ApiError(UNKNOWN_CHARGE, f"there is no charge {id}")
    return ChargeOut.of(charge)
