"""Tenants: who is billed, in which currency and time zone."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from common.auth import scope
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from common.time_zones import time_zones
from rating.errors import TENANT_IN_USE, UNKNOWN_CURRENCY, UNKNOWN_TENANT, UNKNOWN_TIMEZONE
from rating.plan import currency_problem
from rating.schemas import KEY, TenantIn, TenantList, TenantOut
from rating.store import tenants
from rating.store.tenants import TenantRow

router = APIRouter(tags=["tenants"])
TenantKey = Annotated[str, Path(pattern=KEY, description="The subject of the tenant's events.")]


@router.put("/v1/tenants/{key}", dependencies=[scope("catalog:write")])
async def put_tenant(key: TenantKey, body: TenantIn, request: Request) -> TenantOut:
    """Create or change the tenant; an equal body changes nothing."""
    if problem := currency_problem(body.currency):
        raise ApiError(
            UNKNOWN_CURRENCY, problem, errors=[{"path": "body.currency", "message": problem}]
        )
    if body.timezone not in time_zones():
        message = f"{body.timezone!r} is not a time zone of the IANA database"
        raise ApiError(
            UNKNOWN_TIMEZONE, message, errors=[{"path": "body.timezone", "message": message}]
        )
    taxes = [tax.tax() for tax in body.taxes]
    tenant = TenantRow(key=key, taxes=taxes, **body.model_dump(exclude={"taxes"}))
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        known = await tenants.lock(connection, key)
        if known is not None and await tenants.has_subscriptions(connection, key):
            _require_same_periods(known, tenant)
        if known != tenant:
            await tenants.put(connection, tenant)
    return TenantOut.of(tenant)


@router.get("/v1/tenants", dependencies=[scope("catalog:read")])
async def list_tenants(request: Request, limit: Limit = 100, cursor: Cursor = None) -> TenantList:
    """All tenants, by key."""
    after = decode_cursor("tenants", cursor, tuple[str])
    rows = await tenants.page(request.app.state.pool, after[0] if after else "", limit + 1)
    rows, following = page("tenants", rows, limit, lambda row: (row.key,))
    return TenantList(items=[TenantOut.of(row) for row in rows], next=following)


@router.get("/v1/tenants/{key}", dependencies=[scope("catalog:read")])
async def get_tenant(key: TenantKey, request: Request) -> TenantOut:
    """One tenant."""
    row = await tenants.get(request.app.state.pool, key)
    if row is None:
        raise ApiError(UNKNOWN_TENANT, f"there is no tenant {key}")
    return TenantOut.of(row)


def _require_same_periods(known: TenantRow, wanted: TenantRow) -> None:
    """What was rated, and perhaps invoiced, must not move to other periods or money."""
    changed = [
        name
        for name in ("currency", "timezone", "billing_day")
        if getattr(known, name) != getattr(wanted, name)
    ]
    if changed:
        raise ApiError(
            TENANT_IN_USE,
            f"the tenant has subscriptions, so these cannot change: {', '.join(changed)}",
            errors=[
                {"path": f"body.{name}", "message": f"is {getattr(known, name)} for good"}
                for name in changed
            ],
        )
