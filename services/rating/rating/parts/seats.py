"""Seats, or any other quantity that the subscription holds: priced by how many, for how long.

    {"slug": "seats", "quantity": "seats", "model": "unit", "unit_amount": "12"}

A change of the quantity within a period is a step within one charge: each number of seats is
priced as for a whole period, and due for the part of it in which it was held.
"""

from fractions import Fraction

from common.contracts.charges import ChargeLine
from common.events.rfc3339 import instant
from common.money import plain, round_line
from rating.exact import settle
from rating.parts.due import Due
from rating.parts.period import BillingPeriod, Held
from rating.parts.price import PlanPrice
from rating.proration import Proration
from rating.rate import Context, Rated, Usage, rate


def asked(price: PlanPrice, billing: BillingPeriod) -> list[Due]:
    """One charge a span, with the lines of each quantity in it. Its `quantity` is in seats times
    periods: 4 seats for half a period are 2."""
    return [_due(price, billing, span) for span in billing.held(price.add_on, price.window)]


def _due(price: PlanPrice, billing: BillingPeriod, span: Held) -> Due:
    period = billing.period
    held = billing.quantities(price.quantity or "", price.default_quantity, span)
    lines: list[ChargeLine] = []
    total, periods_held = Fraction(0), Fraction(0)
    for quantity, since, until in held:
        proration = Proration(since, until, period.whole_start, period.whole_end)
        share = proration.share()
        rated = rate(price.price, Usage(quantity), Context(billing.currency))
        total += Fraction(rated.amount) * share
        periods_held += Fraction(quantity) * share
        lines += [_line(line, share, proration) for line in rated.lines]
    amount = settle(total)
    rounded = round_line(amount, billing.currency)
    rated = Rated(tuple(lines), amount, rounded, amount - rounded).settled()
    return Due(
        part=price.slug,
        kind="quantity",
        description=price.description,
        start=span[0],
        end=span[1],
        due_at=span[0] if price.billed == "advance" else period.end,
        quantity=settle(periods_held),
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


def _line(line: ChargeLine, share: Fraction, proration: Proration) -> ChargeLine:
    """A step for a whole period, for a part of it."""
    said = line.description if share == 1 else f"{line.description}, {proration.describe()}"
    return ChargeLine(
        kind=line.kind,
        description=said,
        quantity=None if line.quantity is None else settle(Fraction(line.quantity) * share),
        unit_amount=line.unit_amount,
        amount=settle(Fraction(line.amount) * share),
        tier=line.tier,
    )
