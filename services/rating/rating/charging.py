"""From billing periods and usage to charges, and what of them is new. Pure.

What a period costs is made in one order: prices and one-offs, trial, commitments (on what invoices
would say so far), coupons, and last prepaid credits, which pay what is left.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from common.contracts.charges import Charge, ChargeLine
from common.money import round_line
from rating.billing import Billed, PlanVersion
from rating.exact import EXACT
from rating.history import Fact
from rating.parts import commitment, coupon, credits, fee, one_off, seats, trial, usage
from rating.parts.coupon import Coupon, read_coupon
from rating.parts.credits import Balance
from rating.parts.due import Due
from rating.parts.one_off import OneOff
from rating.parts.period import BillingPeriod, Held
from rating.parts.usage import NOTHING, Measure, Measured
from rating.price import Price, price_of
from rating.prices.fields import Fields
from rating.prices.model import Need
from rating.proration import Proration
from rating.rate import Context, Usage
from rating.subscription import Subscription

__all__ = [
    "NOTHING",
    "Measured",
    "added",
    "changes",
    "charge_id",
    "made_from",
    "make_charges",
    "metered",
    "withdraw",
]


def metered(billed: Iterable[Billed]) -> dict[tuple[str, Held], set[Need]]:
    """The usage that rating the periods asks for: (meter, span), and what of it models look at
    beside the quantity."""
    asked: dict[tuple[str, Held], set[Need]] = {}
    for one in billed:
        for price in one.plan.plan.all_prices:
            if price.meter is None:
                continue
            for span in one.billing.held(price.add_on, price.window):
                needs = asked.setdefault((price.meter, span), set())
                if price.price.model.needs is not None:
                    needs.add(price.price.model.needs)
    return asked


def make_charges(
    subscription: Subscription,
    billed: Sequence[Billed],
    measure: Measure,
    *,
    watermark: datetime | None = None,
) -> list[Charge]:
    """What `subscription` owes in its billing periods, in order; version 0 until it is stored.

    Where a plan remembers earlier periods, `billed` must hold all periods from the first one on.
    A charge is closed when everything received before it is due is in it: `watermark` has passed.
    """
    with localcontext(EXACT):
        return _made(subscription, billed, measure, watermark)


def _made(
    subscription: Subscription,
    billed: Sequence[Billed],
    measure: Measure,
    watermark: datetime | None,
) -> list[Charge]:
    left: coupon.Left = {}
    balances: dict[tuple[str, str], Balance] = {}
    rolled: dict[str, dict[str, Decimal]] = {}
    coupons = [(fact.at, _coupon(fact)) for fact in subscription.timeline.coupons]
    made: list[Charge] = []
    for one in billed:
        kept = rolled.setdefault(one.plan.slug, {})
        dues = _prices(one, measure, kept, subscription.timeline.one_offs)
        plan, billing = one.plan.plan, one.billing
        if billing.is_trial and plan.trial is not None:
            dues = [trial.waived(plan.trial, due) for due in dues]
        trued_up = [
            due for part in plan.commitments for due in commitment.asked(part, billing, dues)
        ]
        dues += trued_up
        for credit in plan.credits:
            dues += credits.bought(credit, billing, _balance(balances, one, credit.slug))
        of_the_plan = [(billing.entered, part) for part in plan.coupons]
        for since, part in (*of_the_plan, *coupons):
            if part.holds(billing, since):
                dues = coupon.lowered(part, billing, dues, left)
        unpaid: credits.Unpaid = {}
        for credit in plan.credits:
            balance = _balance(balances, one, credit.slug)
            dues += credits.used(credit, billing, balance, dues, unpaid)
        made += [
            _charge(subscription, one.plan, due, due.due_at <= watermark if watermark else False)
            for due in dues
        ]
    return made


def _prices(
    one: Billed, measure: Measure, rolled: usage.RolledOver, one_offs: Iterable[Fact]
) -> list[Due]:
    billing = one.billing
    dues: list[Due] = []
    for price in one.plan.plan.all_prices:
        match price.kind:
            case "usage":
                unit = one.plan.units.get(price.meter or "", "")
                dues += usage.asked(price, billing, measure, unit, rolled)
            case "quantity":
                dues += seats.asked(price, billing)
            case "fee":
                dues += fee.asked(price, billing)
    for part in one.plan.plan.all_one_offs:
        dues += one_off.asked(part, billing)
    for fact in one_offs:
        if billing.contains(fact.at):
            dues.append(_added(fact, billing))
    return dues


def _added(fact: Fact, billing: BillingPeriod) -> Due:
    """A one-off that was put on the subscription itself."""
    body = fact.body
    # Its revision tells it apart from parts of plans, whose slugs cannot contain this sign.
    named = OneOff(f"{body['slug']}~{fact.revision}", Decimal(body["amount"]), body["description"])
    return one_off.due_once(named, billing, fact.at, {"one_off": body, "revision": fact.revision})


def _coupon(fact: Fact) -> Coupon:
    """A coupon that was put on the subscription itself."""
    return read_coupon(Fields(fact.body, "", []), set())


def _balance(balances: dict[tuple[str, str], Balance], one: Billed, slug: str) -> Balance:
    return balances.setdefault((one.plan.slug, slug), Balance())


def _charge(subscription: Subscription, plan: PlanVersion, due: Due, closed: bool) -> Charge:
    currency = plan.plan.currency
    rounded = round_line(due.amount, currency)
    evidence: dict[str, Any] = {
        "plan_version": plan.version,
        **due.evidence,
        "rounded": str(rounded),
        "residual": str(due.amount - rounded),
    }
    override = dict(plan.overrides).get(due.part)
    if override is not None:
        evidence["override"] = msgspec.json.decode(override)
    return Charge(
        id=charge_id(subscription.id, due.part, due.start),
        tenant=subscription.tenant,
        subscription=subscription.id,
        plan=plan.slug,
        plan_name=plan.plan.name,
        plan_version=plan.version,
        price=due.part,
        kind=due.kind,
        description=due.description,
        meter=due.meter,
        unit=due.unit,
        period_from=due.start,
        period_to=due.end,
        due_at=due.due_at,
        quantity=due.quantity,
        amount=due.amount,
        currency=currency,
        version=0,
        lines=list(due.lines),
        evidence=evidence,
        closed=closed,
    )


def charge_id(subscription: str, price: str, period_from: datetime) -> str:
    """The id that a charge has, however often it is made."""
    return f"{subscription}:{price}:{period_from.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def made_from(charge: Charge) -> tuple[Price, Usage, Context] | None:
    """What the charge of a fee or of usage was rated from, by its evidence: `rate` of it gives
    the charge's amount, before the lines that `added` to it. None for other kinds."""
    if charge.kind not in ("fee", "usage"):
        return None
    whole_start, whole_end = map(datetime.fromisoformat, charge.evidence["period"])
    proration = Proration(charge.period_from, charge.period_to, whole_start, whole_end)
    used = usage.used_again(charge.quantity, charge.evidence) if charge.meter else Usage()
    return price_of(charge.evidence["price"]), used, Context(charge.currency, proration)


def added(charge: Charge) -> list[ChargeLine]:
    """The lines by which a trial and coupons changed what the price asks."""
    return [line for line in charge.lines if line.kind in (trial.KIND, coupon.KIND)]


def withdraw(charge: Charge) -> Charge:
    """A charge whose period no longer exists: it owes nothing, and says why."""
    return msgspec.structs.replace(
        charge,
        quantity=Decimal(0),
        amount=Decimal(0),
        lines=[],
        evidence={"withdrawn": "the subscription has no such part that begins here any more"},
        closed=True,
        withdrawn=True,
    )


def changes(known: Mapping[str, Charge], made: Iterable[Charge]) -> list[Charge]:
    """Those of `made` that differ from what is known by their id, in anything but the version."""
    return [
        charge
        for charge in made
        if charge.id not in known
        or msgspec.structs.replace(known[charge.id], version=charge.version) != charge
    ]
