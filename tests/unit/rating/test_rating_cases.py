"""Cases whose answers are known from other billing engines, computed again by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from common.money import round_line
from rating.price import Price
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import costs, price, rated, tier

GRADUATED_WITH_FLATS = price(
    model="graduated",
    tiers=[tier("10", "10", "2"), tier("20", "5", "3"), tier(None, "5", "3")],
)
GRADUATED_FLATS_THEN_UNITS = price(
    model="graduated",
    tiers=[tier("5", "0", "100"), tier("10", "0", "50"), tier("15", "5"), tier(None, "1")],
)
GRADUATED_DISCOUNT = price(
    model="graduated", tiers=[tier("10", "100"), tier("20", "90"), tier(None, "80")]
)
GRADUATED_DECIMALS = price(
    model="graduated", tiers=[tier("0.1", "10"), tier("1", "5"), tier(None, "2")]
)


@pytest.mark.parametrize(
    ("made", "quantity", "expected"),
    [
        (price(model="unit", unit_amount="100"), "10", "1000.00"),
        (price(model="unit", unit_amount="1", included="110"), "50", "0.00"),
        (price(model="unit", unit_amount="1", included="110"), "125", "15.00"),
        (price(model="unit", unit_amount="1", included="110"), "155", "45.00"),
        (GRADUATED_FLATS_THEN_UNITS, "22", "182.00"),
        (GRADUATED_DISCOUNT, "30", "2700.00"),
        (GRADUATED_DISCOUNT, "15", "1450.00"),
        (GRADUATED_WITH_FLATS, "0", "2.00"),
        (GRADUATED_WITH_FLATS, "1", "12.00"),
        (GRADUATED_WITH_FLATS, "10", "102.00"),
        (GRADUATED_WITH_FLATS, "11", "110.00"),
        (GRADUATED_WITH_FLATS, "12", "115.00"),
        (GRADUATED_WITH_FLATS, "21", "163.00"),
        (GRADUATED_DECIMALS, "0.05", "0.50"),
        (GRADUATED_DECIMALS, "0.5", "3.00"),
        (price(model="flat", amount="100"), "0", "100.00"),
        (price(model="unit", unit_amount="0"), "1000000", "0.00"),
    ],
)
def test_a_quantity_costs(made: Price, quantity: str, expected: str) -> None:
    assert costs(made, quantity) == expected


@pytest.mark.parametrize(
    ("made", "quantity", "invoiced", "due"),
    [
        (GRADUATED_FLATS_THEN_UNITS, "22", "160", "22"),
        (GRADUATED_DISCOUNT, "30", "1450", "1250"),
        (price(model="unit", unit_amount="1", included="110"), "155", "15", "30"),
    ],
)
def test_what_was_invoiced_is_subtracted_from_the_whole(
    made: Price, quantity: str, invoiced: str, due: str
) -> None:
    assert rated(made, quantity).amount - Decimal(invoiced) == Decimal(due)


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "service", "period", "expected"),
    [
        ("100", "USD", (at(1, 1), at(1, 16)), (at(1, 1), at(2, 1)), "48.39"),
        ("100", "USD", (at(1, 1), at(1, 11)), (at(1, 1), at(2, 1)), "32.26"),
        ("1000", "JPY", (at(1, 1), at(1, 11)), (at(1, 1), at(2, 1)), "323"),
        ("10", "USD", (at(1, 1), at(1, 2)), (at(1, 1), at(2, 1)), "0.32"),
        ("20", "USD", (at(1, 2), at(2, 1)), (at(1, 1), at(2, 1)), "19.35"),
        ("50", "USD", (at(1, 8), at(2, 1)), (at(1, 1), at(2, 1)), "38.71"),
        ("5", "USD", (at(6, 2), at(7, 1)), (at(6, 1), at(7, 1)), "4.83"),
        ("20", "USD", (at(6, 2), at(7, 1)), (at(6, 1), at(7, 1)), "19.33"),
        ("100", "USD", (at(1, 1), at(2, 1)), (at(1, 1), at(2, 1)), "100.00"),
        ("100", "USD", (at(1, 5), at(1, 5)), (at(1, 1), at(2, 1)), "0.00"),
    ],
)
def test_a_fee_is_prorated(
    amount: str,
    currency: str,
    service: tuple[datetime, datetime],
    period: tuple[datetime, datetime],
    expected: str,
) -> None:
    fee = price(model="flat", amount=amount)
    result = rate(fee, Usage(), Context(currency, Proration(*service, *period)))
    assert str(round_line(result.amount, currency)) == expected
    assert str(result.rounded) == expected


def test_usage_is_not_prorated() -> None:
    half = Proration(at(1, 1), at(1, 16), at(1, 1), at(2, 1))
    result = rate(price(model="unit", unit_amount="3"), Usage(Decimal(7)), Context("USD", half))
    assert result.amount == 21


@pytest.mark.parametrize(
    ("unit_amount", "currency", "expected", "residual"),
    [
        ("1.994", "USD", "1.99", "0.004"),
        ("1.995", "USD", "2.00", "-0.005"),
        ("1.235", "USD", "1.24", "-0.005"),
        ("0.5", "JPY", "1", "-0.5"),
        ("0.4999", "JPY", "0", "0.4999"),
        ("1.2345", "KWD", "1.235", "-0.0005"),
    ],
)
def test_the_line_is_rounded_once_half_away_from_zero(
    unit_amount: str, currency: str, expected: str, residual: str
) -> None:
    result = rated(price(model="unit", unit_amount=unit_amount), "1", currency)
    assert (str(result.rounded), result.residual) == (expected, Decimal(residual))


def test_tiers_are_not_rounded_one_by_one() -> None:
    made = price(model="graduated", tiers=[tier("1", "0.004"), tier("2", "0.004"), tier(None)])
    result = rated(made, "2")
    assert [line.amount for line in result.lines[:2]] == [Decimal("0.004")] * 2
    assert result.rounded == Decimal("0.01")


def test_the_lines_tell_how_the_amount_came_about() -> None:
    lines = rated(GRADUATED_WITH_FLATS, "12").lines
    assert [(line.kind, line.tier, line.quantity, line.amount) for line in lines] == [
        ("tier", 1, Decimal(10), Decimal(100)),
        ("tier_flat", 1, None, Decimal(2)),
        ("tier", 2, Decimal(2), Decimal(10)),
        ("tier_flat", 2, None, Decimal(3)),
    ]


def test_negative_usage_costs_what_nothing_costs() -> None:
    assert rated(price(model="unit", unit_amount="5"), "-3").amount == 0
    assert rated(GRADUATED_WITH_FLATS, "-3").amount == 2
