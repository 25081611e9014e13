"""Rating: one pure function from a price and a period's usage to lines that explain the amount."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import msgspec

from common.contracts.charges import ChargeLine
from common.money import plain, round_line
from rating.exact import EXACT, settle
from rating.price import Price
from rating.proration import Proration


@dataclass(frozen=True)
class Usage:
    """What was used in the whole period, in the meter's unit. Corrections can make it negative;
    it then costs what nothing costs, for a price is not a promise to pay."""

    quantity: Decimal = Decimal(0)


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
        lines = _include(price, used)
        lines += price.model.lines(max(Decimal(0), used - price.included))
        if context.proration is not None and not price.model.metered:
            lines = _prorate(lines, context.proration)
        amount = settle(sum((line.amount for line in lines), Decimal(0)))
        rounded = round_line(amount, context.currency)
        return Rated(tuple(lines), amount, rounded, amount - rounded)


def _include(price: Price, quantity: Decimal) -> list[ChargeLine]:
    if not price.included:
        return []
    covered = min(quantity, price.included)
    return [
        ChargeLine(
            kind="included",
            description=f"{plain(covered)} of {plain(price.included)} included units",
            quantity=covered,
            unit_amount=Decimal(0),
            amount=Decimal(0),
        )
    ]


def _prorate(lines: Sequence[ChargeLine], proration: Proration) -> list[ChargeLine]:
    share = proration.share()
    if share == 1:
        return list(lines)
    return [
        msgspec.structs.replace(
            line,
            description=f"{line.description}, {proration.describe()}",
            quantity=settle(share),
            amount=settle(Fraction(line.amount) * share),
        )
        for line in lines
    ]
