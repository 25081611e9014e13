"""From a subscription's periods and usage to charges, and what of them is new. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from common.contracts.charges import Charge
from common.periods import Period
from rating.plan import Plan, PlanPrice
from rating.price import Price, price_of
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from rating.subscription import Subscription


@dataclass(frozen=True)
class PlanVersion:
    """A published plan. `units`: of its meters, as they were when it was published."""

    slug: str
    version: int
    plan: Plan
    units: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """A period's usage of one meter. `versions`: the highest rollup version by shard; `rows`: how
    many hours and slots were read. Both identify what was seen."""

    quantity: Decimal
    rows: int
    versions: Mapping[int, int]


NOTHING = Measured(Decimal(0), 0, {})


def charge_id(subscription: str, price: str, period_from: datetime) -> str:
    """The id that a charge has, however often it is made."""
    return f"{subscription}:{price}:{period_from.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def affected(periods: Iterable[Period], spans: Iterable[tuple[datetime, datetime]]) -> list[Period]:
    """The periods that share an instant with one of the spans (half open)."""
    spans = list(spans)
    return [p for p in periods if any(p.start < end and start < p.end for start, end in spans)]


def make_charge(
    subscription: Subscription,
    plan: PlanVersion,
    price: PlanPrice,
    period: Period,
    measured: Measured,
    *,
    closed: bool,
) -> Charge:
    """What `subscription` owes for `price` in `period`; version 0 until it is stored."""
    proration = Proration(period.start, period.end, period.whole_start, period.whole_end)
    rated = rate(
        price.price,
        Usage(measured.quantity),
        Context(plan.plan.currency, proration),
    ).settled()
    return Charge(
        id=charge_id(subscription.id, price.slug, period.start),
        tenant=subscription.tenant,
        subscription=subscription.id,
        plan=plan.slug,
        plan_name=plan.plan.name,
        plan_version=plan.version,
        price=price.slug,
        description=price.description,
        meter=price.meter,
        unit=plan.units.get(price.meter, "") if price.meter is not None else "",
        period_from=period.start,
        period_to=period.end,
        quantity=measured.quantity if price.meter is not None else Decimal(1),
        amount=rated.amount,
        currency=plan.plan.currency,
        version=0,
        lines=list(rated.lines),
        evidence=_evidence(plan, price, period, measured, rated.rounded, rated.residual),
        closed=closed,
    )


def made_from(charge: Charge) -> tuple[Price, Usage, Context]:
    """What a charge was rated from, by its evidence: `rate` of it gives the charge's amount."""
    whole_start, whole_end = map(datetime.fromisoformat, charge.evidence["period"])
    proration = Proration(charge.period_from, charge.period_to, whole_start, whole_end)
    usage = Usage(charge.quantity) if charge.meter is not None else Usage()
    return price_of(charge.evidence["price"]), usage, Context(charge.currency, proration)


def withdraw(charge: Charge) -> Charge:
    """A charge whose period no longer exists: it owes nothing, and says why."""
    return msgspec.structs.replace(
        charge,
        quantity=Decimal(0),
        amount=Decimal(0),
        lines=[],
        evidence={"withdrawn": "the subscription has no period that begins here any more"},
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


def _evidence(
    plan: PlanVersion,
    price: PlanPrice,
    period: Period,
    measured: Measured,
    rounded: Decimal,
    residual: Decimal,
) -> dict[str, Any]:
    """What the charge was made from, as JSON values."""
    evidence: dict[str, Any] = {
        "plan_version": plan.version,
        "price": price.price.fields(),
        "period": [_instant(period.whole_start), _instant(period.whole_end)],
        "rounded": str(rounded),
        "residual": str(residual),
    }
    if price.meter is not None:
        evidence |= {
            "meter": price.meter,
            "hours": [_instant(period.start), _instant(period.end)],
            "rollup_rows": measured.rows,
            "rollup_versions": {str(s): v for s, v in sorted(measured.versions.items())},
        }
    return evidence


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
