"""Plans: each change of a plan's body is a new version, and versions never change."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request

from common.auth import scope
from common.contracts.meters import Meter
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from rating.errors import UNKNOWN_PLAN, refuse
from rating.meter_fit import meter_faults, named_meters
from rating.plan import Plan, read_plan
from rating.prices.fields import FieldError
from rating.publishing import Wanted, faults, log_published, publish, says_the_same, without_nulls
from rating.schemas import SLUG, PlanList, PlanOut
from rating.store import plans

router = APIRouter(tags=["plans"])
Slug = Annotated[str, Path(pattern=SLUG, description="The plan's name.")]
DryRun = Annotated[bool, Query(description="Check everything and change nothing.")]
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
    slug: Slug,
    body: Annotated[dict[str, Any], Body(examples=[EXAMPLE])],
    request: Request,
    dry_run: DryRun = False,
) -> PlanOut:
    """Publish a version of the plan; a body that says the same as the newest changes nothing.
    A dry run answers the version that it would make.

    A price without a meter is a fee. The models' fields stand in the service's README.
    """
    plan, wrong = read_plan(body)
    pool = request.app.state.pool
    wrong = await faults(pool, slug, plan, wrong)
    newest = await plans.newest(pool, slug)
    if not wrong and newest is not None and says_the_same(newest, plan):
        return PlanOut.of(newest)
    units = await units_of(request, body, plan, wrong, "body.")
    if dry_run:
        return PlanOut.said(
            slug, newest.version + 1 if newest is not None else 1, without_nulls(body)
        )
    async with pool.acquire() as connection, connection.transaction():
        revision, [made] = await publish(connection, [Wanted(slug, body, plan, units)])
    log_published(revision, [made], "", "")
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


async def checked(
    request: Request, body: Mapping[str, Any], path: str
) -> tuple[Plan, dict[str, str]]:
    """The plan that a body describes, and the units of its meters; raises `ApiError` with all that
    is wrong with it. `path` stands before the fields' names."""
    plan, wrong = read_plan(body)
    return plan, await units_of(request, body, plan, wrong, path)


async def units_of(
    request: Request, body: Mapping[str, Any], plan: Plan, wrong: list[FieldError], path: str
) -> dict[str, str]:
    """The units of the plan's meters; raises `ApiError` with `wrong`, which is wrong with its
    fields, and with what is wrong with its meters."""
    meters = await find_meters(request, (slug for _, slug in named_meters(body)), wrong, path)
    refuse([*wrong, *meter_faults(body, plan, wrong, meters)], path)
    return {slug: meters[slug].unit for slug in sorted(plan.meters)}


async def find_meters(
    request: Request, slugs: Iterable[str], wrong: list[FieldError], path: str
) -> dict[str, Meter]:
    """Those of the meters that there are. Where that cannot be found out now, raises what is
    `wrong` already: it will not heal."""
    try:
        found = {slug: await request.app.state.meters.find(slug) for slug in sorted(set(slugs))}
    except ApiError:
        refuse(wrong, path)
        raise
    return {slug: meter for slug, meter in found.items() if meter is not None}
