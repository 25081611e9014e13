"""Rating: one pure function from a price and a period's usage to lines that explain the amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from common.contracts.charges import ChargeLine
from common.money import plain, round_line
from rating.exact import EXACT, Exact, plus, settle, times
from rating.price import Price
from rating.prices.model import NOTHING_SEEN, Seen, Step
from rating.proration import Proration


@dataclass(frozen=True)
class Usage:
    """What was used in the whole period, in the meter's unit. Corrections can make it negative;
    it then costs what nothing costs, for a price is not a promise to pay. `seen`: what some models
    look at beside the quantity."""

    quantity: Decimal = Decimal(0)
    seen: Seen = NOTHING_SEEN


@dataclass(frozen=True)
class Context:
    """`currency`: ISO 4217. `proration`: for fees of a period that the service covers in part;
    None: the period is whole."""

    currency: str
    proration: Proration | None = None


@dataclass(frozen=True)
class Rated:
    """`lines` add up to `amount`, which is exact (see `exact.settle` for what has no end).

    `rounded` is what an invoice says: half away from zero to the currency's minor unit, once.
    `residual` = amount - rounded.
    """

    lines: tuple[ChargeLine, ...]
    amount: Decimal
    rounded: Decimal
    residual: Decimal


def rate(price: Price, usage: Usage, context: Context) -> Rated:
    """What `usage` costs at `price`: included units, then the model, then proration of a fee."""
    with localcontext(EXACT):
        used = max(Decimal(0), usage.quantity)
        steps = _include(price, used)
        steps += price.model.lines(max(Decimal(0), used - price.included), usage.seen)
        if context.proration is not None and not price.model.metered:
            steps = _prorate(steps, context.proration)
        exact: Exact = Decimal(0)
        for step in steps:
            exact = plus(exact, step.amount)
        amount = settle(exact)
        rounded = round_line(amount, context.currency)
        return Rated(tuple(map(_line, steps)), amount, rounded, amount - rounded)


def _line(step: Step) -> ChargeLine:
    return ChargeLine(
        kind=step.kind,
        description=step.description,
        quantity=None if step.quantity is None else settle(step.quantity),
        unit_amount=step.unit_amount,
        amount=settle(step.amount),
        tier=step.tier,
    )


def _include(price: Price, quantity: Decimal) -> list[Step]:
    if not price.included:
        return []
    covered = min(quantity, price.included)
    return [
        Step(
            kind="included",
            description=f"{plain(covered)} of {plain(price.included)} included units",
            quantity=covered,
            unit_amount=Decimal(0),
            amount=Decimal(0),
        )
    ]


def _prorate(lines: Sequence[Step], proration: Proration) -> list[Step]:
    share = proration.share()
    if share == 1:
        return list(lines)
    return [
        Step(
            kind=line.kind,
            description=f"{line.description}, {proration.describe()}",
            quantity=share,
            unit_amount=line.unit_amount,
            amount=times(line.amount, share),
            tier=line.tier,
        )
        for line in lines
    ]
