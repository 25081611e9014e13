"""Try a draft plan on a past period: who would have paid what."""

import asyncio
import logging
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from common.auth import scope
from common.errors import ApiError
from rating.chart import draw
from rating.errors import UNKNOWN_PLAN
from rating.routes.plans import checked
from rating.routes.ranges import asked_range, require_tenants
from rating.schemas import Bound, Exact, Key, Slug, Strict
from rating.simulate import Asked, Skipped, simulate
from rating.simulation import Outcome, by_tenant, totals
from rating.store import plans
from rating.store.plans import PlanRow

log = logging.getLogger(__name__)
router = APIRouter(tags=["plans"])
MAX_TENANTS = 100_000
_ONE_AT_A_TIME = asyncio.Lock()


class SimulationIn(Strict):
    replaces: Slug = Field(description="The plan whose subscribers are looked at, all versions.")
    plan: dict[str, Any] = Field(description="The draft, as it would be published.")
    start: Bound = Field(
        alias="from", description="A day, or an instant that is rounded down to ten seconds."
    )
    end: Bound = Field(alias="to", description="Exclusive; not after now.")
    tenants: Annotated[list[Key], Field(max_length=MAX_TENANTS)] | None = Field(
        None, description="Only these; all when left out."
    )


class OutcomeOut(BaseModel):
    """`difference` above zero: the tenant would pay more."""

    tenant: str
    currency: str
    now: Exact
    then: Exact
    difference: Exact

    @classmethod
    def of(cls, one: Outcome) -> "OutcomeOut":
        return cls(
            tenant=one.tenant,
            currency=one.currency,
            now=one.now,
            then=one.then,
            difference=one.difference,
        )


class TotalsOut(BaseModel):
    """Winners would pay less, losers more."""

    currency: str
    tenants: int
    now: Exact
    then: Exact
    difference: Exact
    winners: int
    losers: int


class SkippedOut(BaseModel):
    tenant: str
    subscription: str
    reason: str


class SimulationOut(BaseModel):
    """Sums of rounded charges of the billing periods that begin in [from, to). `tenants`: the
    greatest loss first. `chart`: an SVG document, how many tenants would pay how much more or
    less."""

    start: Bound = Field(serialization_alias="from")
    end: Bound = Field(serialization_alias="to")
    totals: list[TotalsOut]
    tenants: list[OutcomeOut]
    skipped: list[SkippedOut] = Field(description="Subscriptions that the draft cannot be for.")
    chart: str


@router.post("/v1/simulations", dependencies=[scope("catalog:read")])
async def post_simulation(body: SimulationIn, request: Request) -> SimulationOut:
    """Rate a past period once more, with a draft in place of a plan. Nothing is changed: it runs
    in a read-only transaction. One runs at a time in a process; 10,000 tenants take a few
    seconds."""
    state = request.app.state
    now: datetime = state.clock()
    asked_for = asked_range(body.start, body.end, now)
    await require_tenants(state.pool, body.tenants)
    _, units = await checked(request, body.plan, "body.plan.")
    if await plans.newest(state.pool, body.replaces) is None:
        raise ApiError(UNKNOWN_PLAN, f"there is no plan {body.replaces}")
    row = PlanRow(plan=body.replaces, version=0, body=body.plan, units=units, created_at=now)
    asked = Asked(row, body.tenants, asked_for)
    async with (
        _ONE_AT_A_TIME,
        state.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        outcomes, skipped = await simulate(connection, state.plans, asked, now)
    answer = _answer(body, asked, by_tenant(outcomes), skipped)
    log.info(
        "simulation of a draft of %s, %s to %s: %d tenants, %d subscriptions left out",
        body.replaces,
        asked.range.start.isoformat(),
        asked.range.end.isoformat(),
        len(answer.tenants),
        len(skipped),
    )
    return answer


def _answer(
    body: SimulationIn, asked: Asked, outcomes: list[Outcome], skipped: list[Skipped]
) -> SimulationOut:
    start, end = asked.range.start, asked.range.end
    title = f"A draft of {body.replaces}, {start:%Y-%m-%d} to {end:%Y-%m-%d}"
    return SimulationOut(
        start=start,
        end=end,
        totals=[
            TotalsOut(
                currency=one.currency,
                tenants=one.tenants,
                now=one.now,
                then=one.then,
                difference=one.then - one.now,
                winners=one.winners,
                losers=one.losers,
            )
            for one in totals(outcomes)
        ],
        tenants=[OutcomeOut.of(one) for one in outcomes],
        skipped=[
            SkippedOut(tenant=one.tenant, subscription=one.subscription, reason=one.reason)
            for one in skipped
        ],
        chart=draw(outcomes, title),
    )
