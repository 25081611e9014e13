"""Subscriptions: put a tenant on a plan, end it, bill now."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from common.auth import scope
from common.errors import ApiError
from common.idempotency import IdempotencyKey, once
from common.ids import uuid7
from common.money import plain
from common.paging import Cursor, Limit, decode_cursor, page
from rating.billing import keys_of
from rating.changes import effective_cut, effective_end, new_fact, require_few_periods
from rating.errors import (
    CURRENCY_MISMATCH,
    OVERLAPPING_SUBSCRIPTION,
    REFUSALS,
    UNKNOWN_REFERENCE,
    UNKNOWN_SUBSCRIPTION,
)
from rating.history import Fact
from rating.schemas import (
    AtIn,
    BilledNow,
    SubscriptionIn,
    SubscriptionList,
    SubscriptionOut,
)
from rating.store import SCHEMA, plans, subscriptions, tenants
from rating.store.plans import PlanRow
from rating.subscription import Refused, Subscription, effective_span, overlaps

router = APIRouter(tags=["subscriptions"])
Id = Annotated[str, Path(min_length=1, max_length=100)]
Filter = Annotated[str | None, Query(max_length=256)]


@router.post(
    "/v1/subscriptions",
    dependencies=[scope("catalog:write")],
    response_model=None,
    status_code=201,
    responses={201: {"model": SubscriptionOut}},
)
async def post_subscription(
    body: SubscriptionIn, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Put a tenant on a plan. A start in the past rates what is already there."""

    async def create(tx: Any) -> tuple[int, Any]:
        subscription = await _subscribe(tx, body, request)
        return 201, SubscriptionOut.of(subscription, request.app.state.clock()).model_dump(
            mode="json"
        )

    return await once(
        request.app.state.pool,
        SCHEMA,
        "subscriptions",
        idempotency_key,
        body.model_dump(mode="json"),
        create,
    )


@router.get("/v1/subscriptions", dependencies=[scope("catalog:read")])
async def list_subscriptions(
    request: Request,
    tenant: Filter = None,
    plan: Filter = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SubscriptionList:
    """Subscriptions by age, the oldest first; ended ones too."""
    after = decode_cursor("subscriptions", cursor, tuple[str])
    rows = await subscriptions.page(
        request.app.state.pool, tenant, plan, after[0] if after else "", limit + 1
    )
    rows, following = page("subscriptions", rows, limit, lambda one: (one.id,))
    now = request.app.state.clock()
    return SubscriptionList(items=[SubscriptionOut.of(one, now) for one in rows], next=following)


@router.get("/v1/subscriptions/{id}", dependencies=[scope("catalog:read")])
async def get_subscription(id: Id, request: Request) -> SubscriptionOut:
    """One subscription."""
    subscription = await found(request.app.state.pool, id)
    return SubscriptionOut.of(subscription, request.app.state.clock())


@router.post("/v1/subscriptions/{id}/end", dependencies=[scope("catalog:write")])
async def end_subscription(id: Id, request: Request, body: AtIn | None = None) -> SubscriptionOut:
    """End it at an instant, past or future (rounded down to ten seconds). Twice is once; another
    end than before is refused."""
    now = request.app.state.clock()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        subscription = await locked(connection, id)
        try:
            end = effective_end(subscription, (body and body.at) or now)
        except Refused as refused:
            raise answer(refused) from None
        if subscription.end is None:
            fact = new_fact(subscription, "end", end, {}, now=now)
            subscription = subscription.with_fact(fact)
            await subscriptions.record(connection, subscription, [fact])
            await tenants.touch(connection, subscription.tenant)
    return SubscriptionOut.of(subscription, now)


@router.post("/v1/subscriptions/{id}/bill-now", dependencies=[scope("catalog:write")])
async def bill_now(id: Id, request: Request, body: AtIn | None = None) -> BilledNow:
    """Split the running period, so that what was used before `at` can be invoiced now.

    The split is at the first boundary of ten seconds at or after `at`, which the answer tells.
    Twice is once.
    """
    now = request.app.state.clock()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        subscription = await locked(connection, id)
        plans = await request.app.state.plans.load(connection, keys_of(subscription))
        try:
            at, cut = effective_cut(subscription, plans, (body and body.at) or now, now)
        except Refused as refused:
            raise answer(refused) from None
        if cut is not None:
            fact = new_fact(subscription, "cut", cut, {}, now=now)
            subscription = subscription.with_fact(fact)
            await subscriptions.record(connection, subscription, [fact])
            await tenants.touch(connection, subscription.tenant)
    return BilledNow(**SubscriptionOut.of(subscription, now).model_dump(), at=at)


async def _subscribe(tx: Any, body: SubscriptionIn, request: Request) -> Subscription:
    now = request.app.state.clock()
    tenant = await tenants.lock(tx, body.tenant)
    if tenant is None:
        raise _unknown("body.tenant", f"there is no tenant {body.tenant}")
    try:
        start, end = effective_span(body.start or now, body.end)
    except Refused as refused:
        raise answer(refused) from None
    plan = await plan_for(tx, body.plan, body.version, start, tenant.currency)
    await require_free(tx, tenant.key, plan.plan, [(start, end)])
    terms = {"plan": plan.plan, "version": plan.version, "quantities": _named(body.quantities)}
    facts = [Fact(revision=1, kind="start", at=start, body=terms, recorded_at=now)]
    if end is not None:
        facts.append(Fact(revision=2, kind="end", at=end, recorded_at=now))
    subscription = Subscription(
        id=str(uuid7()),
        tenant=tenant.key,
        currency=tenant.currency,
        anchor_day=tenant.billing_day,
        zone=tenant.timezone,
        facts=tuple(facts),
    )
    held = await request.app.state.plans.load(tx, keys_of(subscription))
    try:
        require_few_periods(subscription, held, now)
    except Refused as refused:
        raise answer(refused) from None
    await subscriptions.add(tx, subscription)
    await tenants.touch(tx, tenant.key)
    return subscription


async def plan_for(tx: Any, slug: str, version: int | None, at: datetime, currency: str) -> PlanRow:
    """The version to put a tenant on who pays in `currency`: the newest effective by `at`, or the
    one that is asked for."""
    if version is None:
        plan = await plans.effective(tx, slug, at)
        missing = ("body.plan", f"there is no plan {slug}, or none that is effective by then")
    else:
        plan = await plans.version_of(tx, slug, version)
        missing = ("body.version", f"there is no version {version} of plan {slug}")
    if plan is None:
        raise _unknown(*missing)
    sold_in = [plan.body["currency"], *(plan.body.get("currencies") or {})]
    if currency not in sold_in:
        raise ApiError(
            CURRENCY_MISMATCH,
            f"the plan is in {', '.join(sold_in)}, the tenant pays in {currency}",
        )
    return plan


async def require_free(
    tx: Any,
    tenant: str,
    plan: str,
    wanted: Iterable[tuple[datetime, datetime | None]],
    *,
    without: str = "",
) -> None:
    """Refuse a tenant on one plan twice at a time. `without`: the subscription that changes."""
    wanted = list(wanted)
    for span in await subscriptions.spans(tx, tenant, plan, without=without):
        if any(overlaps(one, span) for one in wanted):
            raise ApiError(
                OVERLAPPING_SUBSCRIPTION,
                f"{tenant} is on {plan} from {span[0]:%Y-%m-%dT%H:%M:%SZ} to"
                f" {format(span[1], '%Y-%m-%dT%H:%M:%SZ') if span[1] else 'no end'}",
            )


async def found(connection: Any, id: str) -> Subscription:
    """The subscription, or the answer 404."""
    subscription = await subscriptions.get(connection, id)
    if subscription is None:
        raise ApiError(UNKNOWN_SUBSCRIPTION, f"there is no subscription {id}")
    return subscription


async def locked(tx: Any, id: str) -> Subscription:
    """The subscription; its tenant's row is locked, so nobody else changes it."""
    await tenants.lock(tx, (await found(tx, id)).tenant)
    return await found(tx, id)


def answer(refused: Refused) -> ApiError:
    """A refusal as the API says it."""
    if not refused.path:
        return ApiError(REFUSALS[refused.code], str(refused))
    errors = [{"path": f"body.{refused.path}", "message": str(refused)}]
    return ApiError(REFUSALS[refused.code], str(refused), errors=errors)


def _named(quantities: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: plain(quantity) for name, quantity in quantities.items()}


def _unknown(path: str, message: str) -> ApiError:
    return ApiError(UNKNOWN_REFERENCE, message, errors=[{"path": path, "message": message}])
