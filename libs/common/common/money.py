"""Money: exact decimals, rounded once, at the invoice line."""

from decimal import ROUND_HALF_UP, Context, Decimal
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


def round_line(amount: Decimal, currency: str) -> Decimal:
    """`amount` rounded half away from zero to the currency's minor unit (EN 16931 practice)."""
    quantum = Decimal(1).scaleb(-exponent(currency))
    rounded = amount.quantize(quantum, rounding=ROUND_HALF_UP, context=WIDE)
    return rounded if rounded else abs(rounded)


def plain(value: Decimal) -> str:
    """`value` without an exponent and without needless zeros: 1E+3 is "1000", 0.500 is "0.5"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
