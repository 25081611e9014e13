"""Money: exact decimals, rounded once, at the invoice line."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from math import floor
from typing import Final

from iso4217 import Currency

WIDE: Final = Context(prec=200, Emax=10_000, Emin=-10_000)
"""Wide enough that products and sums of NUMERIC(38,18) values are exact."""


class UnknownCurrency(ValueError):
    """Not an ISO 4217 code that has an exponent."""


def exponent(currency: str) -> int:
    """How many decimals the currency's minor unit has (ISO 4217): USD 2, JPY 0, KWD 3.

    Raises `UnknownCurrency`, also for codes without a minor unit such as XAU.
    """
    try:
        digits = Currency(currency).exponent
    except ValueError:
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency") from None
    if digits is None:
        raise UnknownCurrency(f"{currency} has no minor unit, so nothing can be invoiced in it")
    return int(digits)


def currencies() -> list[str]:
    """All codes that have an exponent, by name."""
    return sorted(one.value for one in Currency if one.exponent is not None)


def round_line(amount: Decimal, currency: str) -> Decimal:
    """`amount` rounded half away from zero to the currency's minor unit (EN 16931 practice)."""
    quantum = Decimal(1).scaleb(-exponent(currency))
    rounded = amount.quantize(quantum, rounding=ROUND_HALF_UP, context=WIDE)
    return rounded if rounded else abs(rounded)


def is_minor(amount: Decimal, currency: str) -> bool:
    """Whether `amount` is in whole minor units of the currency; zeros behind them do not matter."""
    return round_line(amount, currency) == amount


def plain(value: Decimal) -> str:
    """`value` without an exponent and without needless zeros: 1E+3 is "1000", 0.500 is "0.5"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def allocate(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """`total`, in whole minor units, in parts that are as the weights and add up to it.

    Each part is cut to the minor unit; what that leaves goes, a unit each, to those that were cut
    most, the first of equals first (largest remainder). 0.05 over 1:1:1 is 0.02, 0.02, 0.01.
    Raises ValueError for a total that has a fraction of a minor unit, a negative weight, and
    weights that are all 0.
    """
    places = exponent(currency)
    minor = total.copy_abs().scaleb(places, context=WIDE)
    if minor != int(minor):
        raise ValueError(f"{total} is not in whole minor units of {currency}")
    shares = [Fraction(weight) for weight in weights]
    whole = sum(shares, Fraction(0))
    if not whole or min(shares) < 0:
        raise ValueError("weights must not be negative and not all be 0")
    exact = [int(minor) * share / whole for share in shares]
    parts = [floor(part) for part in exact]
    left = int(minor) - sum(parts)
    most_cut = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in most_cut[:left]:
        parts[index] += 1
    quantum = Decimal(1).scaleb(-places)
    return [WIDE.multiply(Decimal(part if total >= 0 else -part), quantum) for part in parts]
