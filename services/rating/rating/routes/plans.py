"""Plans: each change of a plan's body is a new version, and versions never change."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request

from common.auth import scope
from common.contracts.meters import Meter
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from rating.errors import UNKNOWN_METER, UNKNOWN_PLAN, refuse
from rating.meter_fit import misfits, placed
from rating.plan import Plan, read_plan
from rating.publishing import Wanted, publish, says_the_same
from rating.schemas import SLUG, PlanList, PlanOut
from rating.store import plans

router = APIRouter(tags=["plans"])
Slug = Annotated[str, Path(pattern=SLUG, description="The plan's name.")]
Version = Annotated[int | None, Query(ge=1, lt=2**31, description="The newest when left out.")]
EXAMPLE = {
    "name": "Standard",
    "currency": "EUR",
    "interval": "month",
    "prices": [
        {"slug": "base", "meter": None, "model": "flat", "amount": "49.00"},
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.002"},
    ],
}


@router.put("/v1/plans/{slug}", dependencies=[scope("catalog:write")])
async def put_plan(
    slug: Slug, body: Annotated[dict[str, Any], Body(examples=[EXAMPLE])], request: Request
) -> PlanOut:
    """Publish a version of the plan; a body that says the same as the newest changes nothing.

    A price without a meter is a fee. The models' fields stand in the service's README.
    """
    plan = checked(body, "body.")
    pool = request.app.state.pool
    newest = await plans.newest(pool, slug)
    if newest is not None and says_the_same(newest, plan):
        return PlanOut.of(newest)
    units = await units_of(request, plan, "body.")
    async with pool.acquire() as connection, connection.transaction():
        _, [made] = await publish(connection, [Wanted(slug, body, plan, units)])
    assert made.after is not None
    return PlanOut.of(made.after)


@router.get("/v1/plans", dependencies=[scope("catalog:read")])
async def list_plans(request: Request, limit: Limit = 100, cursor: Cursor = None) -> PlanList:
    """The newest version of every plan, by slug."""
    after = decode_cursor("plans", cursor, tuple[str])
    rows = await plans.page(request.app.state.pool, after[0] if after else "", limit + 1)
    rows, following = page("plans", rows, limit, lambda row: (row.plan,))
    return PlanList(items=[PlanOut.of(row) for row in rows], next=following)


@router.get("/v1/plans/{slug}", dependencies=[scope("catalog:read")])
async def get_plan(slug: Slug, request: Request, version: Version = None) -> PlanOut:
    """A version of the plan."""
    pool = request.app.state.pool
    if version is None:
        row = await plans.newest(pool, slug)
    else:
        row = await plans.version_of(pool, slug, version)
    if row is None:
        suffix = "" if version is None else f" version {version}"
        raise ApiError(UNKNOWN_PLAN, f"there is no plan {slug}{suffix}")
    return PlanOut.of(row)


def checked(body: Mapping[str, Any], path: str) -> Plan:
    """The plan that a body describes; raises `ApiError` with all that is wrong with it. `path`
    stands before the fields' names."""
    plan, errors = read_plan(body)
    refuse(errors, path)
    return plan


async def units_of(request: Request, plan: Plan, path: str) -> dict[str, str]:
    """The units of the plan's meters; raises `ApiError` when there is no such meter, or when it
    is not one that the plan can price."""
    found = {slug: await request.app.state.meters.find(slug) for slug in sorted(plan.meters)}
    meters: dict[str, Meter] = {slug: one for slug, one in found.items() if one is not None}
    errors = [
        {"path": f"{path}{place}.meter", "message": f"there is no meter {price.meter}"}
        for place, price in placed(plan)
        if price.meter is not None and price.meter not in meters
    ]
    if errors:
        raise ApiError(UNKNOWN_METER, errors[0]["message"], errors=errors)
    refuse(misfits(plan, meters), path)
    return {slug: meter.unit for slug, meter in meters.items()}
