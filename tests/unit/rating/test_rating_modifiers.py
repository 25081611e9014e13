"""Conversion, included units, discounts, maximum and minimum: cases whose answers are known."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.price import price_of
from rating.rate import Context, Usage, left_over, rate
from tests.unit.rating.prices import costs, price, rated, read

UNIT: dict[str, Any] = {"model": "unit", "unit_amount": "10"}
HALF: dict[str, Any] = {"discount": {"percent": "50"}}


def converted(**conversion: Any) -> dict[str, Any]:
    return {"model": "unit", "unit_amount": "1", "conversion": conversion}


@pytest.mark.parametrize(
    ("value", "quantity", "expected"),
    [
        (UNIT | {"minimum": "100"}, "0", "100.00"),
        (UNIT | {"maximum": "100"}, "12", "100.00"),
        (UNIT | {"maximum": "100"} | HALF, "27", "100.00"),
        (UNIT | HALF, "27", "135.00"),
        (UNIT | {"discount": {"amount": "20"}}, "1", "0.00"),
        (UNIT | {"discount": {"quantity": "3"}}, "5", "20.00"),
        (UNIT | {"minimum_quantity": "5"}, "2", "50.00"),
        (UNIT | {"conversion": {"divide": "1000", "rounding": "ceiling"}}, "1400", "20.00"),
        (converted(multiply="1.2"), "10", "12.00"),
        (converted(divide="1000", rounding="floor"), "1900", "1.00"),
        (converted(divide="1000", rounding="half_up"), "1500", "2.00"),
        (converted(divide="1000", rounding="half_up"), "1400", "1.00"),
        (converted(divide="3") | {"unit_amount": "3"}, "1", "1.00"),
        (
            {"model": "package", "package_size": "10", "amount": "15", "maximum": "100"},
            "110",
            "100.00",
        ),
        ({"model": "flat", "amount": "50"} | HALF, "0", "25.00"),
    ],
)
def test_a_quantity_costs(value: dict[str, Any], quantity: str, expected: str) -> None:
    made = price(**value)
    assert costs(made, quantity) == expected
    assert price_of(made.fields()) == made


def test_left_over_units_are_included_up_to_a_cap() -> None:
    made = price(**UNIT, included="10", rollover={"cap": "5"})
    result = rate(made, Usage(Decimal(20), rolled_over=Decimal(8)), Context("USD"))
    assert result.amount == 50


def test_left_over_units_may_be_longer_than_the_context_of_the_thread() -> None:
    digits = "12345678901234567890.123456789012345678"
    left = left_over(price(**UNIT, included=digits, rollover={}), Usage(Decimal("0.5")))
    assert str(left) == "12345678901234567889.623456789012345678"


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"conversion": {"divide": "0"}}, "price.conversion.divide"),
        ({"conversion": {"divide": "1", "multiply": "1"}}, "price.conversion"),
        ({"conversion": {"divide": "1", "rounding": "up"}}, "price.conversion.rounding"),
        ({"conversion": {"divide": "1", "extra": "1"}}, "price.conversion.extra"),
        ({"discount": {"percent": "101"}}, "price.discount.percent"),
        ({"discount": {"percent": "-1"}}, "price.discount.percent"),
        ({"discount": {"percent": "1", "amount": "1"}}, "price.discount"),
        ({"maximum": "1", "minimum": "2"}, "price.minimum"),
        ({"minimum_quantity": "x"}, "price.minimum_quantity"),
    ],
)
def test_an_invalid_modifier_is_refused(more: dict[str, Any], path: str) -> None:
    assert path in [error.path for error in read(UNIT | more)[1]]


@given(st.decimals(0, 10**18, places=6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_amount_lies_between_minimum_and_maximum(
    quantity: Decimal, one: int, other: int
) -> None:
    low, high = sorted([one, other])
    result = rated(price(**UNIT, **HALF, minimum=str(low), maximum=str(high)), quantity)
    assert low <= result.amount <= high
    assert sum(line.amount for line in result.lines) == result.amount
