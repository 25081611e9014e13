"""Seats, or any other quantity that the subscription holds: priced by how many, for how long.

    {"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "12"}

A change of the quantity within a period is a step within one charge: each number of seats is
priced as for a whole period, and due for the part of it in which it was held.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, TypeAlias

from common.contracts.charges import ChargeLine
from common.events.rfc3339 import instant
from common.money import plain, round_line
from rating.exact import EXACT, settle
from rating.parts.due import Due
from rating.parts.period import BillingPeriod, Held
from rating.parts.price import PlanPrice
from rating.price import Price
from rating.prices.model import Step
from rating.proration import Proration
from rating.rate import Rated, Usage, priced

HeldQuantity: TypeAlias = tuple[Decimal, datetime, datetime]
"""So many, from when to when."""


def asked(price: PlanPrice, billing: BillingPeriod) -> list[Due]:
    """One charge a span, with the lines of each quantity in it. Its `quantity` is in seats times
    periods: 4 seats for half a period are 2."""
    return [_due(price, billing, span) for span in billing.held(price.add_on, price.window)]


def _due(price: PlanPrice, billing: BillingPeriod, span: Held) -> Due:
    period = billing.period
    held = billing.quantities(price.quantity or "", price.default_quantity, span)
    whole = period.whole_start, period.whole_end
    rated = rate_held(price.price, held, whole, billing.currency)
    return Due(
        part=price.slug,
        kind="quantity",
        description=price.description,
        start=span[0],
        end=span[1],
        due_at=span[0] if price.billed == "advance" else period.end,
        quantity=settle(sum((_periods(one, whole) for one in held), Fraction(0))),
        amount=rated.amount,
        lines=rated.lines,
        unit=price.quantity or "",
        evidence={
            "price": price.price.fields(),
            "period": [instant(period.whole_start), instant(period.whole_end)],
            "quantity": price.quantity,
            "held": [[plain(q), instant(since), instant(until)] for q, since, until in held],
        },
    )


def rate_held(price: Price, held: Sequence[HeldQuantity], whole: Held, currency: str) -> Rated:
    """What quantities cost that were held in parts of the `whole` period."""
    lines: list[ChargeLine] = []
    total = Fraction(0)
    with localcontext(EXACT):
        for quantity, since, until in held:
            proration = Proration(since, until, *whole)
            share = proration.share()
            for step in priced(price, Usage(quantity)):
                total += Fraction(step.amount) * share
                lines.append(_line(step, share, proration))
    amount = settle(total)
    rounded = round_line(amount, currency)
    return Rated(tuple(lines), amount, rounded, amount - rounded).settled()


def held_again(evidence: Mapping[str, Any]) -> list[HeldQuantity]:
    """What was rated, as the evidence of a charge says it."""
    return [
        (Decimal(quantity), datetime.fromisoformat(since), datetime.fromisoformat(until))
        for quantity, since, until in evidence["held"]
    ]


def _periods(held: HeldQuantity, whole: Held) -> Fraction:
    quantity, since, until = held
    return Fraction(quantity) * Proration(since, until, *whole).share()


def _line(step: Step, share: Fraction, proration: Proration) -> ChargeLine:
    """A step for a whole period, for a part of it."""
    said = step.description if share == 1 else f"{step.description}, {proration.describe()}"
    return ChargeLine(
        kind=step.kind,
        description=said,
        quantity=None if step.quantity is None else settle(Fraction(step.quantity) * share),
        unit_amount=step.unit_amount,
        amount=settle(Fraction(step.amount) * share),
        tier=step.tier,
    )
