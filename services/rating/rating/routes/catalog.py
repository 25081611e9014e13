"""The catalog as a whole: all plans at one revision, published together or not at all."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from common.auth import scope
from common.contracts.meters import Meter
from common.errors import ApiError
from common.paging import Cursor, Limit, decode_cursor, page
from rating.catalog_schemas import (
    CatalogIn,
    CatalogOut,
    CatalogPlan,
    PublishedOut,
    RevisionList,
    ToldMeter,
)
from rating.errors import CATALOG_CHANGED, UNKNOWN_METER, refuse
from rating.meter_fit import misfits
from rating.plan import Plan, read_plan
from rating.plan_schema import PLAN_SCHEMA
from rating.prices.fields import FieldError
from rating.publishing import RevisionChanged, Wanted, foresee, publish
from rating.store import catalog, plans

router = APIRouter(tags=["catalog"])
DryRun = Annotated[bool, Query(description="Check everything and say what would change.")]


@router.get("/v1/catalog", dependencies=[scope("catalog:read")])
async def get_catalog(request: Request) -> CatalogOut:
    """Every plan's newest version in canonical form: two catalogs that say the same are the same
    bytes. Also who is on which version."""
    state = request.app.state
    async with (
        state.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        revision = await catalog.revision(connection)
        rows = await plans.page(connection, "", 2**31 - 1)
        subscribed = await catalog.subscribed(connection, state.clock())
    return CatalogOut.of(revision, rows, subscribed)


@router.post("/v1/catalog", dependencies=[scope("catalog:write")])
async def post_catalog(body: CatalogIn, request: Request, dry_run: DryRun = False) -> PublishedOut:
    """Publish these plans: all in one revision, or none. Plans that say what they said stay at
    their version; plans that are not named stay as they are. `revision`: what the catalog must
    be at if anything changes, otherwise nothing is done (409). Twice is once."""
    state = request.app.state
    wanted = await _wanted(body, request)
    async with state.pool.acquire() as connection, connection.transaction():
        if dry_run:
            revision, made = await foresee(connection, wanted)
        else:
            try:
                revision, made = await publish(
                    connection, wanted, expected=body.revision, actor=body.by, reason=body.reason
                )
            except RevisionChanged as changed:
                raise ApiError(CATALOG_CHANGED, str(changed)) from None
        subscribed = await catalog.subscribed(connection, state.clock())
    return PublishedOut.of(revision, dry_run, made, subscribed)


@router.get("/v1/catalog/revisions", dependencies=[scope("catalog:read")])
async def list_revisions(
    request: Request, limit: Limit = 100, cursor: Cursor = None
) -> RevisionList:
    """When plans were published, by whom and why, the newest first."""
    before = decode_cursor("revisions", cursor, tuple[int])
    rows = await catalog.revisions(request.app.state.pool, before[0] if before else None, limit + 1)
    rows, following = page("revisions", rows, limit, lambda row: (row.revision,))
    return RevisionList.of(rows, following)


@router.get("/v1/catalog/schema", dependencies=[scope("catalog:read")])
async def get_schema() -> dict[str, Any]:
    """The JSON Schema of a plan."""
    return PLAN_SCHEMA


async def _wanted(body: CatalogIn, request: Request) -> list[Wanted]:
    """The plans of a body; raises `ApiError` with everything that is wrong with any of them."""
    errors: list[FieldError] = []
    read: list[tuple[CatalogPlan, Plan]] = []
    for place, one in enumerate(body.plans):
        plan, wrong = read_plan(one.body)
        errors += [
            FieldError(f"plans[{place}].{error.path}", error.message, error.code) for error in wrong
        ]
        if any(one.slug == other.slug for other, _ in read):
            errors.append(FieldError(f"plans[{place}].slug", f"{one.slug} stands here twice"))
        read.append((one, plan))
    refuse(errors, "body.")
    meters = await _meters(body, [plan for _, plan in read], request)
    misfitting = [
        FieldError(f"plans[{place}].{error.path}", error.message, error.code)
        for place, (_, plan) in enumerate(read)
        for error in misfits(plan, meters)
    ]
    refuse(misfitting, "body.")
    units = {slug: meter.unit for slug, meter in meters.items()}
    units |= {slug: told for slug, told in body.meters.items() if isinstance(told, str)}
    return [
        Wanted(one.slug, one.body, plan, {slug: units[slug] for slug in sorted(plan.meters)})
        for one, plan in read
    ]


async def _meters(body: CatalogIn, wanted: list[Plan], request: Request) -> dict[str, Meter]:
    """The meters that there are or are about to be, but for those of which only units are told."""
    named = sorted({slug for plan in wanted for slug in plan.meters} - body.meters.keys())
    asked = {slug: await request.app.state.meters.find(slug) for slug in named}
    found = {slug: meter for slug, meter in asked.items() if meter is not None}
    for slug, told in body.meters.items():
        if isinstance(told, ToldMeter):
            found[slug] = Meter(
                slug=slug,
                event_type="",
                aggregation=told.aggregation,
                group_by=told.group_by,
                unit=told.unit,
            )
    errors = [
        {"path": f"body.plans[{place}]", "message": f"there is no meter {slug}"}
        for place, plan in enumerate(wanted)
        for slug in sorted(plan.meters)
        if slug not in found and slug not in body.meters
    ]
    if errors:
        raise ApiError(UNKNOWN_METER, errors[0]["message"], errors=errors)
    return found
