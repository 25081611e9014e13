"""Subscriptions: put a tenant on a plan, end it, bill now."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from common.auth import scope
from common.errors import ApiError
from common.idempotency import IdempotencyKey, once
from common.ids import uuid7
from common.paging import Cursor, Limit, decode_cursor, page
from rating.errors import (
    CURRENCY_MISMATCH,
    OVERLAPPING_SUBSCRIPTION,
    REFUSALS,
    UNKNOWN_REFERENCE,
    UNKNOWN_SUBSCRIPTION,
)
from rating.schemas import (
    AtIn,
    BilledNow,
    SubscriptionIn,
    SubscriptionList,
    SubscriptionOut,
)
from rating.store import SCHEMA, plans, subscriptions, tenants
from rating.store.plans import PlanRow
from rating.subscription import (
    Refused,
    Subscription,
    effective_cut,
    effective_end,
    effective_span,
    overlaps,
)

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
        return 201, SubscriptionOut.of(subscription).model_dump(mode="json")

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
    found = await subscriptions.page(
        request.app.state.pool, tenant, plan, after[0] if after else "", limit + 1
    )
    found, following = page("subscriptions", found, limit, lambda one: (one.id,))
    return SubscriptionList(items=[SubscriptionOut.of(one) for one in found], next=following)


@router.get("/v1/subscriptions/{id}", dependencies=[scope("catalog:read")])
async def get_subscription(id: Id, request: Request) -> SubscriptionOut:
    """One subscription."""
    return SubscriptionOut.of(await _found(request.app.state.pool, id))


@router.post("/v1/subscriptions/{id}/end", dependencies=[scope("catalog:write")])
async def end_subscription(id: Id, request: Request, body: AtIn | None = None) -> SubscriptionOut:
    """End it at an instant, past or future (rounded down to ten seconds). Twice is once; another
    end than before is refused."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        subscription = await _locked(connection, id)
        try:
            end = effective_end(subscription, (body and body.at) or request.app.state.clock())
        except Refused as refused:
            raise _answer(refused) from None
        if subscription.end is None:
            await subscriptions.end(connection, subscription, end)
            await tenants.touch(connection, subscription.tenant)
    return SubscriptionOut.of(replace(subscription, end=end))


@router.post("/v1/subscriptions/{id}/bill-now", dependencies=[scope("catalog:write")])
async def bill_now(id: Id, request: Request, body: AtIn | None = None) -> BilledNow:
    """Split the running period, so that what was used before `at` can be invoiced now.

    The split is at the first boundary of ten seconds at or after `at`, which the answer tells.
    Twice is once.
    """
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        subscription = await _locked(connection, id)
        now = request.app.state.clock()
        try:
            at, cut = effective_cut(subscription, (body and body.at) or now, now)
        except Refused as refused:
            raise _answer(refused) from None
        if cut is not None:
            await subscriptions.cut(connection, subscription, cut)
            await tenants.touch(connection, subscription.tenant)
            subscription = replace(subscription, cuts=tuple(sorted({*subscription.cuts, cut})))
    return BilledNow(**SubscriptionOut.of(subscription).model_dump(), at=at)


async def _subscribe(tx: Any, body: SubscriptionIn, request: Request) -> Subscription:
    tenant = await tenants.lock(tx, body.tenant)
    if tenant is None:
        raise _unknown("body.tenant", f"there is no tenant {body.tenant}")
    plan = await _plan(tx, body)
    if plan.body["currency"] != tenant.currency:
        raise ApiError(
            CURRENCY_MISMATCH,
            f"the plan is in {plan.body['currency']}, the tenant pays in {tenant.currency}",
        )
    try:
        start, end = effective_span(body.start or request.app.state.clock(), body.end)
    except Refused as refused:
        raise _answer(refused) from None
    for span in await subscriptions.spans(tx, tenant.key, plan.plan):
        if overlaps((start, end), span):
            raise ApiError(
                OVERLAPPING_SUBSCRIPTION,
                f"{tenant.key} is on {plan.plan} from {span[0]:%Y-%m-%dT%H:%M:%SZ} to"
                f" {format(span[1], '%Y-%m-%dT%H:%M:%SZ') if span[1] else 'no end'}",
            )
    subscription = Subscription(
        id=str(uuid7()),
        tenant=tenant.key,
        plan=plan.plan,
        plan_version=plan.version,
        start=start,
        end=end,
        anchor_day=tenant.billing_day,
        zone=tenant.timezone,
    )
    await subscriptions.add(tx, subscription)
    await tenants.touch(tx, tenant.key)
    return subscription


async def _plan(tx: Any, body: SubscriptionIn) -> PlanRow:
    if body.version is None:
        plan = await plans.newest(tx, body.plan)
        missing = ("body.plan", f"there is no plan {body.plan}")
    else:
        plan = await plans.version_of(tx, body.plan, body.version)
        missing = ("body.version", f"there is no version {body.version} of plan {body.plan}")
    if plan is None:
        raise _unknown(*missing)
    return plan


async def _found(connection: Any, id: str) -> Subscription:
    subscription = await subscriptions.get(connection, id)
    if subscription is None:
        raise ApiError(UNKNOWN_SUBSCRIPTION, f"there is no subscription {id}")
    return subscription


async def _locked(tx: Any, id: str) -> Subscription:
    """The subscription; its tenant's row is locked, so nobody else changes it."""
    await tenants.lock(tx, (await _found(tx, id)).tenant)
    return await _found(tx, id)


def _answer(refused: Refused) -> ApiError:
    return ApiError(REFUSALS[refused.code], str(refused))


def _unknown(path: str, message: str) -> ApiError:
    return ApiError(UNKNOWN_REFERENCE, message, errors=[{"path": path, "message": message}])
