"""Exact arithmetic for prices: nothing is rounded before the invoice line."""

from decimal import ROUND_05UP, Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import Final, TypeAlias

from common.money import plain

EXACT: Final = Context(
    prec=2000, Emax=20_000, Emin=-20_000, traps=[InvalidOperation, Overflow, Inexact]
)
"""Sums and products in this context are exact or raise: prices have 38 digits, and usage would
need 1,900 to reach its end."""

Exact: TypeAlias = Decimal | Fraction
"""A decimal wherever there is one; a fraction for what has no end, such as 1 ÷ 3."""

SETTLED_DECIMALS: Final = 18
"""Decimals that leave rating: the scale of NUMERIC(38,18)."""
_QUANTUM: Final = Decimal(1).scaleb(-SETTLED_DECIMALS)


def settle(value: Decimal | Fraction) -> Decimal:
    """`value` with at most 18 decimals, such that rounding the result to fewer decimals gives
    what rounding `value` itself would give.

    A value that does not fit is cut towards zero, and where that ends in 0 or 5 its last digit is
    moved away from zero by one ("round to odd" for decimals), so that it can never look like a
    tie that the exact value is not.
    """
    if isinstance(value, Decimal):
        digits = -int(value.as_tuple().exponent)
        if digits <= SETTLED_DECIMALS:
            return value
        return value.quantize(_QUANTUM, rounding=ROUND_05UP, context=_WIDE)
    scaled = abs(value) * 10**SETTLED_DECIMALS
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if rest and whole % 5 == 0:
        whole += 1
    signed = -whole if value < 0 else whole
    return Decimal(signed).scaleb(-SETTLED_DECIMALS, context=_WIDE)


_WIDE: Final = Context(prec=2000, Emax=20_000, Emin=-20_000)

DECIMAL_POWERS: Final = tuple(10**places for places in range(SETTLED_DECIMALS + 1))


def times(one: Exact, other: Exact) -> Exact:
    """one × other."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one * other
    return Fraction(one) * Fraction(other)


def plus(one: Exact, other: Exact) -> Exact:
    """one + other."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one + other
    return Fraction(one) + Fraction(other)


def minus(one: Exact, other: Exact) -> Exact:
    """one - other."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one - other
    return Fraction(one) - Fraction(other)


def over(one: Exact, other: Exact) -> Exact:
    """one ÷ other: a decimal where it ends, a fraction where not."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        try:
            return _DIVISION.divide(one, other)
        except Inexact:
            return Fraction(one) / Fraction(other)
    return _simplest(Fraction(one) / Fraction(other))


def ending(value: Exact) -> Decimal:
    """`value` itself where it ends; where it does not, what it settles to."""
    if isinstance(value, Decimal):
        return value
    simplest = _simplest(value)
    return simplest if isinstance(simplest, Decimal) else settle(simplest)


def shown(value: Exact) -> str:
    """`value` for a sentence; one that has no end is cut to 18 decimals."""
    return plain(ending(value))


def _simplest(value: Fraction) -> Exact:
    try:
        return _DIVISION.divide(Decimal(value.numerator), Decimal(value.denominator))
    except Inexact:
        return value


_DIVISION: Final = Context(
    prec=250, Emax=20_000, Emin=-20_000, traps=[InvalidOperation, Overflow, Inexact]
)
"""Quotients of up to 250 digits count as ending: a quantity has at most 200, a price 38."""
