"""Changes of a subscription, with a preview of what they would do, and its history."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from common.auth import scope
from common.errors import INVALID_REQUEST, ApiError
from common.idempotency import IdempotencyKey, once
from common.money import plain
from rating import change_schemas as schemas
from rating.assess import assess
from rating.billing import Plans, PlanVersion, key_of, keys_of
from rating.change_schemas import Change, ChangeOut, Difference, FactOut, HistoryOut, SegmentOut
from rating.changes import (
    coupon_errors,
    new_fact,
    require_few_periods,
    require_possible,
    running_period_end,
)
from rating.errors import INVALID_PRICE, UNFIT_METER
from rating.history import Fact, Kind
from rating.meter_fit import misfits
from rating.plan_book import NoVariant
from rating.prices.fields import FieldError
from rating.rerating import repriced
from rating.routes.subscriptions import Id, answer, found, locked, plan_for, require_free
from rating.schemas import SubscriptionOut
from rating.store import SCHEMA, charges, subscriptions, tenants
from rating.store.usage import StoredUsage
from rating.subscription import Refused, Subscription, plan_spans
from rating.variants import place_of

router = APIRouter(tags=["subscriptions"])
Preview = Annotated[bool, Query(description="Only say what the change would do.")]


@router.post(
    "/v1/subscriptions/{id}/changes",
    dependencies=[scope("catalog:write")],
    response_model=None,
    status_code=201,
    responses={200: {"model": ChangeOut}, 201: {"model": ChangeOut}},
)
async def post_change(
    id: Id,
    body: Change,
    request: Request,
    preview: Preview = False,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add a fact to the subscription's history. What was invoiced already stays; a difference
    becomes an adjustment on the next invoice. A preview (200) changes nothing."""
    if preview:
        async with request.app.state.pool.acquire() as connection, connection.transaction():
            shown = await _change(connection, id, body, request, preview=True)
        return JSONResponse(shown, 200)

    async def create(tx: Any) -> tuple[int, Any]:
        return 201, await _change(tx, id, body, request, preview=False)

    return await once(
        request.app.state.pool,
        SCHEMA,
        f"changes/{id}",
        idempotency_key,
        body.model_dump(mode="json"),
        create,
    )


@router.get("/v1/subscriptions/{id}/history", dependencies=[scope("catalog:read")])
async def get_history(id: Id, request: Request) -> HistoryOut:
    """Every fact that was ever recorded, and what they fold to."""
    return HistoryOut.of(await found(request.app.state.pool, id))


async def _change(
    tx: Any, id: str, body: Change, request: Request, *, preview: bool
) -> dict[str, Any]:
    subscription = await locked(tx, id)
    now = request.app.state.clock()
    book = request.app.state.plans
    plans: Plans = await book.load(tx, keys_of(subscription))
    try:
        fact = await _fact(tx, subscription, plans, body, now)
    except Refused as refused:
        raise answer(refused) from None
    after = subscription.with_fact(fact)
    try:
        plans = {**plans, **await book.load(tx, keys_of(after))}
        require_few_periods(after, plans, now)
    except Refused as refused:
        raise answer(refused) from None
    except NoVariant as error:
        paths = _paths(body, error.errors, error.body)
        raise ApiError(INVALID_PRICE, str(error), errors=paths) from None
    if isinstance(body, schemas.OverrideChange):
        before = [plans[key] for key in keys_of(subscription)]
        added = [plans[key] for key in keys_of(after) - keys_of(subscription)]
        _require_fit(request, body, before, added)
    for plan in {span[0] for span in plan_spans(after.timeline)}:
        wanted = [
            (start, end) for held, _, start, end in plan_spans(after.timeline) if held == plan
        ]
        await require_free(tx, after.tenant, plan, wanted, without=id)
    shown = ChangeOut(
        preview=preview,
        fact=FactOut.of(fact, revoked=False),
        subscription=SubscriptionOut.of(after, now),
        segments=[SegmentOut.of(one) for one in after.timeline.segments],
        currency=after.currency,
    )
    if preview:
        shown.charges = await _differences(tx, after, plans, now)
        shown.difference = sum((one.difference for one in shown.charges), start=Decimal(0))
    else:
        await subscriptions.record(tx, after, [fact])
        await tenants.touch(tx, after.tenant)
    return shown.model_dump(mode="json", by_alias=True)


def _require_fit(
    request: Request,
    body: schemas.OverrideChange,
    before: Sequence[PlanVersion],
    added: Sequence[PlanVersion],
) -> None:
    """Raises `ApiError` where an override makes a price that no new plan may have, or whose model
    looks at what a known meter does not keep."""
    definition = request.app.state.meters.definition
    known = {error for version in before for error in version.tolerated}
    for version in added:
        plan = version.plan
        meters = {slug: meter for slug in plan.meters if (meter := definition(slug)) is not None}
        refused = [error for error in version.tolerated if error not in known]
        for code, errors in ((INVALID_PRICE, refused), (UNFIT_METER, misfits(plan, meters))):
            if errors:
                paths = _paths(body, errors, plan.canonical())
                raise ApiError(code, errors[0].message, errors=paths)


def _paths(
    body: Change, errors: Iterable[FieldError], plan: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What is wrong with a plan, where the change has it."""
    if not isinstance(body, schemas.OverrideChange):
        path = "body.plan" if isinstance(body, schemas.PlanChange) else "body"
        return [{"path": path, "message": f"{one.path}: {one.message}"} for one in errors]
    place = place_of(plan, body.price) or body.price
    return [
        {
            "path": f"body.fields{_below(one.path, place)}",
            "message": one.message,
        }
        for one in errors
    ]


def _below(path: str, place: str) -> str:
    """`.unit_amount` of `prices[1].unit_amount`, nothing of what stands elsewhere."""
    return path.removeprefix(place) if path.startswith(f"{place}.") else ""


async def _fact(
    tx: Any, subscription: Subscription, plans: Plans, body: Change, now: datetime
) -> Fact:
    """What would be recorded; raises `Refused` or `ApiError`."""
    asked = None if isinstance(body, schemas.RevokeChange) else body.at
    at = running_period_end(subscription, plans, now) if asked == "period_end" else asked or now
    kind = cast(Kind, body.type)
    said: dict[str, Any] = {}
    match body:
        case schemas.PlanChange():
            row = await plan_for(tx, body.plan, body.version, at, subscription.currency)
            quantities = {name: plain(value) for name, value in body.quantities.items()}
            said = {"plan": row.plan, "version": row.version, "quantities": quantities}
        case schemas.QuantityChange():
            said = {"name": body.name, "quantity": plain(body.quantity)}
        case schemas.AddOnChange():
            said = {"add_on": body.add_on, "enabled": body.enabled}
        case schemas.OverrideChange():
            said = {"price": body.price, "fields": body.fields}
        case schemas.CouponChange():
            _require_coupon(body.coupon)
            said = body.coupon
        case schemas.OneOffChange():
            said = {
                "slug": body.slug,
                "amount": plain(body.amount),
                "description": body.description,
            }
        case schemas.RevokeChange():
            said = {"revision": body.revision}
        case _:
            pass
    fact = new_fact(subscription, kind, at, said, now=now, actor=body.by, reason=body.reason)
    terms = subscription.segment(fact.at).terms
    plan = plans[key_of(terms, subscription.currency)].plan
    require_possible(subscription, fact, plan)
    return fact


def _require_coupon(coupon: dict[str, Any]) -> None:
    errors = coupon_errors(coupon)
    if errors:
        listed = [{"path": f"body.{one.path}", "message": one.message} for one in errors]
        raise ApiError(INVALID_REQUEST, listed[0]["message"], errors=listed)


async def _differences(
    tx: Any, after: Subscription, plans: Plans, now: datetime
) -> list[Difference]:
    """What would become of the subscription's charges, all its periods rated again."""
    made = await assess(tx, StoredUsage(), [after], plans, {after.id: None}, now=now)
    known = await charges.known(tx, [], [after.id])
    return [
        Difference(
            id=line.after.id,
            price=line.after.price,
            start=line.after.period_from,
            end=line.after.period_to,
            before=line.invoiced_before,
            after=line.invoiced_after,
            difference=line.difference,
        )
        for line in repriced(known, made)
    ]
