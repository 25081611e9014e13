"""Charges: what each subscription owes for each price and period, and why."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request

from common.auth import scope
from common.errors import INVALID_REQUEST, ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from rating.errors import UNKNOWN_CHARGE
from rating.schemas import ChargeList, ChargeOut, Instant
from rating.store import charges

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


@router.get("/v1/charges/{id}", dependencies=[scope("charges:read")])
async def get_charge(id: Id, request: Request) -> ChargeOut:
    """One charge."""
    charge = await charges.get(request.app.state.pool, id)
    if charge is None:
        raise ApiError(UNKNOWN_CHARGE, f"there is no charge {id}")
    return ChargeOut.of(charge)
