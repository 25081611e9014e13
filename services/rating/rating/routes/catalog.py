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
    PublishedOut,
    RevisionList,
    ToldMeter,
)
from rating.errors import CATALOG_CHANGED, refuse
from rating.meter_fit import meter_faults, named_meters
from rating.plan import read_plan
from rating.plan_schema import PLAN_SCHEMA
from rating.prices.fields import FieldError
from rating.publishing import RevisionChanged, Wanted, faults, foresee, log_published, publish
from rating.routes.plans import find_meters
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
    if not dry_run:
        log_published(revision, made, body.by, body.reason)
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
    read = [read_plan(one.body) for one in body.plans]
    pool = request.app.state.pool
    wrong = [
        [*await faults(pool, one.slug, plan, errors), *_twice(body, place)]
        for place, (one, (plan, errors)) in enumerate(zip(body.plans, read, strict=True))
    ]
    meters = await _meters(body, request, _placed(wrong))
    for one, (plan, _), found in zip(body.plans, read, wrong, strict=True):
        found += meter_faults(one.body, plan, found, meters, assumed=body.meters)
    refuse(_placed(wrong), "body.")
    units = {slug: meter.unit for slug, meter in meters.items()}
    units |= {slug: told for slug, told in body.meters.items() if isinstance(told, str)}
    return [
        Wanted(one.slug, one.body, plan, {slug: units[slug] for slug in sorted(plan.meters)})
        for one, (plan, _) in zip(body.plans, read, strict=True)
    ]


def _twice(body: CatalogIn, place: int) -> list[FieldError]:
    """Whether the slug of a plan stands before it already."""
    slug = body.plans[place].slug
    if any(one.slug == slug for one in body.plans[:place]):
        return [FieldError("slug", f"{slug} stands here twice")]
    return []


def _placed(wrong: list[list[FieldError]]) -> list[FieldError]:
    """What is wrong with each plan, as the body as a whole has it."""
    return [
        FieldError(f"plans[{place}].{error.path}", error.message, error.code)
        for place, errors in enumerate(wrong)
        for error in errors
    ]


async def _meters(body: CatalogIn, request: Request, wrong: list[FieldError]) -> dict[str, Meter]:
    """The meters that the plans name: those that there are, and those that are about to be, but
    for those of which only units are told."""
    named = {slug for plan in body.plans for _, slug in named_meters(plan.body)}
    found = await find_meters(request, named - body.meters.keys(), wrong, "body.")
    for slug, told in body.meters.items():
        if isinstance(told, ToldMeter):
            found[slug] = Meter(
                slug=slug,
                event_type="",
                aggregation=told.aggregation,
                group_by=told.group_by,
                unit=told.unit,
            )
    return found
