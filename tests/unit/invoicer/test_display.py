"""How values read on paper."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from invoicer import display
from tests.unit.invoicer.charging import DECEMBER, NOVEMBER, OCTOBER

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        ("1234567.5", "EUR", "1,234,567.50"),
        ("1234567", "JPY", "1,234,567"),
        ("1.234", "KWD", "1.234"),
        ("-12.3", "EUR", "−12.30"),
        ("0", "EUR", "0.00"),
        ("1E+6", "EUR", "1,000,000.00"),
    ],
)
def test_amounts_have_the_currencys_decimals(value: str, currency: str, text: str) -> None:
    assert display.amount(Decimal(value), currency) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        ("0.000000000001", "EUR", "0.000000000001"),
        ("46.9134", "EUR", "46.9134"),
        ("200", "EUR", "200.00"),
        ("200", "JPY", "200"),
        ("-0.5", "EUR", "−0.50"),
        ("1E-18", "JPY", "0.000000000000000001"),
    ],
)
def test_exact_amounts_lose_nothing(value: str, currency: str, text: str) -> None:
    assert display.exact(Decimal(value), currency) == text


def test_quantities_lose_nothing() -> None:
    assert display.quantity(Decimal("98765432109876")) == "98,765,432,109,876"
    assert display.quantity(Decimal("1234.56700")) == "1,234.567"
    assert display.quantity(Decimal("-3")) == "−3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.550335570469798657", "≈ 1.5503"),
        ("-1234.99996789", "≈ −1,235"),
        ("0.000000012345678", "≈ 0.00000001235"),
        ("123.456789", "123.456789"),
        ("28080", "28,080"),
        ("1.500000000000000000", "1.5"),
    ],
)
def test_quantities_of_many_decimals_are_shortened(value: str, text: str) -> None:
    assert display.short_quantity(Decimal(value)) == text
    assert display.is_short(Decimal(value)) == (not text.startswith("≈"))


def test_whole_days_are_named_by_the_first_and_the_last() -> None:
    assert display.period(OCTOBER, NOVEMBER, BERLIN) == "1 Oct 2026 – 31 Oct 2026"
    assert display.period(NOVEMBER, DECEMBER, BERLIN) == "1 Nov 2026 – 30 Nov 2026"
    day = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    assert display.period(*day, UTC) == "23 Nov 2026"


def test_other_periods_have_times() -> None:
    start = datetime(2026, 11, 23, 9, 10, tzinfo=UTC)
    assert (
        display.period(start, start.replace(minute=11, second=20), UTC)
        == "23 Nov 2026, 09:10:00 – 09:11:20"
    )
    assert (
        display.period(start, start.replace(day=24), BERLIN)
        == "23 Nov 2026, 10:10:00 – 24 Nov 2026, 10:10:00"
    )


def test_a_zone_nobody_knows_is_utc() -> None:
    assert display.zone("Mars/Olympus") is UTC
    assert display.zone("../etc/passwd") is UTC
    assert display.zone("Europe/Berlin") == BERLIN
