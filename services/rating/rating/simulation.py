"""What a draft plan would have earned: each tenant now and then, and who wins or loses. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from common.contracts.charges import Charge
from common.money import round_line
from rating.billing import PlanKey, Plans, PlanVersion, Span
from rating.history import Fact
from rating.ranges import lies_in
from rating.subscription import Subscription


@dataclass(frozen=True)
class Outcome:
    """What a tenant pays `now`, and `then`, under the draft; sums of rounded charges."""

    tenant: str
    currency: str
    now: Decimal
    then: Decimal

    @property
    def difference(self) -> Decimal:
        """Above zero: the tenant would pay more."""
        return self.then - self.now


@dataclass(frozen=True)
class Totals:
    """Of one currency. Winners would pay less, losers more."""

    currency: str
    tenants: int
    now: Decimal
    then: Decimal
    winners: int
    losers: int


def revenue(charges: Iterable[Charge], spans: Sequence[Span]) -> Decimal:
    """What invoices would say of the charges that begin in the spans."""
    return sum(
        (
            round_line(charge.amount, charge.currency)
            for charge in charges
            if lies_in(charge.period_from, spans)
        ),
        Decimal(0),
    )


def cut(subscription: Subscription, spans: Iterable[Span]) -> Subscription:
    """The subscription with its billing periods cut where a span begins or ends: so those of a
    draft, however long they are, fill the same time as those of the plan. What is due for a whole
    period is shared by time."""
    for edge in sorted({edge for span in spans for edge in span}):
        fact = Fact(revision=subscription.revision + 1, kind="cut", at=edge)
        subscription = subscription.with_fact(fact)
    return subscription


def under(plans: Plans, drafts: Mapping[PlanKey, PlanVersion]) -> Plans:
    """`plans` with those replaced that there is a draft for."""
    return {key: drafts.get(key, plan) for key, plan in plans.items()}


def by_tenant(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome a tenant, the greatest loss first."""
    sums: dict[str, Outcome] = {}
    for one in outcomes:
        known = sums.get(one.tenant)
        if known is not None:
            one = Outcome(one.tenant, one.currency, known.now + one.now, known.then + one.then)
        sums[one.tenant] = one
    return sorted(sums.values(), key=lambda one: (-one.difference, one.tenant))


def totals(outcomes: Sequence[Outcome]) -> list[Totals]:
    """The totals of each currency, by its code."""
    return [
        Totals(
            currency=currency,
            tenants=len(those),
            now=sum((one.now for one in those), Decimal(0)),
            then=sum((one.then for one in those), Decimal(0)),
            winners=sum(one.difference < 0 for one in those),
            losers=sum(one.difference > 0 for one in those),
        )
        for currency in sorted({one.currency for one in outcomes})
        if (those := [one for one in outcomes if one.currency == currency])
    ]
