"""How values read on paper: amounts, quantities, dates and periods. Pure, English, no locale."""

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from common.money import WIDE, exponent, plain

SHORT_DECIMALS: Final = 6
MINUS = "\N{MINUS SIGN}"


def amount(value: Decimal, currency: str) -> str:
    """A rounded amount with the currency's decimals: 1,234.50 (USD), 1,235 (JPY), 1.234 (KWD)."""
    return _signed(f"{abs(value):,.{exponent(currency)}f}", value < 0)


def exact(value: Decimal, currency: str) -> str:
    """An amount that is not rounded: all its decimals, at least the currency's."""
    whole, _, decimals = plain(abs(value)).partition(".")
    decimals = decimals.ljust(exponent(currency), "0")
    text = f"{int(whole):,}" + (f".{decimals}" if decimals else "")
    return _signed(text, value < 0)


def quantity(value: Decimal) -> str:
    """All digits of a quantity, thousands apart."""
    whole, _, decimals = plain(abs(value)).partition(".")
    return _signed(f"{int(whole):,}" + (f".{decimals}" if decimals else ""), value < 0)


def short_quantity(value: Decimal) -> str:
    """A quantity with up to six decimals, and one that has more to four (or four digits, where it
    begins later): ≈ 1.5503."""
    if is_short(value):
        return quantity(value)
    places = max(4, 3 - value.adjusted())
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=WIDE)
    return f"≈ {quantity(rounded)}"


def is_short(value: Decimal) -> bool:
    """Whether `short_quantity` has all digits."""
    return len(plain(value).partition(".")[2]) <= SHORT_DECIMALS


def zone(name: str) -> tzinfo:
    """The time zone `name`, or UTC when this system does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def day(at: datetime, where: tzinfo) -> str:
    """A date as 23 November 2026."""
    local = at.astimezone(where)
    return f"{local.day} {local:%B %Y}"


def period(start: datetime, end: datetime, where: tzinfo) -> str:
    """A half-open period. Whole days are named by their first and last day; otherwise both
    instants are given to the second, the end being the first one that does not count."""
    first, after = start.astimezone(where), end.astimezone(where)
    if _is_midnight(first) and _is_midnight(after) and after > first:
        last = after - timedelta(days=1)
        if last.date() == first.date():
            return _short(first)
        return f"{_short(first)} – {_short(last)}"
    if first.date() == after.date():
        return f"{_short(first)}, {first:%H:%M:%S} – {after:%H:%M:%S}"
    return f"{_short(first)}, {first:%H:%M:%S} – {_short(after)}, {after:%H:%M:%S}"


def _short(local: datetime) -> str:
    return f"{local.day} {local:%b %Y}"


def _is_midnight(local: datetime) -> bool:
    return (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)


def _signed(text: str, is_negative: bool) -> str:
    return MINUS + text if is_negative else text
