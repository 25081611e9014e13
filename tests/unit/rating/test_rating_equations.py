"""The way from a quantity to its price in equations, which are evaluated again term by term."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.equations import equations, number
from rating.exact import over
from rating.price import Price
from rating.prices.model import Seen
from rating.prices.time_weighted import TimeWeighted
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from tests.unit.rating.arithmetic import evaluate, last_value
from tests.unit.rating.prices import price
from tests.unit.rating.random_prices import OF_A_METER, REGIONS, random_prices

JANUARY = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def texts(made: Price, quantity: str, currency: str = "USD", **context: Any) -> list[str]:
    found = equations(made, Usage(Decimal(quantity)), Context(currency, **context))
    return [one.text for one in found]


def test_a_conversion_to_begun_packages() -> None:
    made = price(
        model="unit", unit_amount="10.00", conversion={"divide": "1000", "rounding": "ceiling"}
    )
    assert texts(made, "1400") == [
        "1,400 ÷ 1,000 = 1.4, rounded up to 0 decimals = 2",
        "2 × 10 = 20",
        "USD: 20, rounded half away from zero to 2 decimals = 20.00",
    ]


def test_the_tiers_walked_then_the_bounds() -> None:
    made = price(
        model="graduated",
        tiers=[
            {"up_to": "10", "unit_amount": "10", "flat_amount": "2"},
            {"up_to": None, "unit_amount": "5"},
        ],
        included="1",
        discount={"percent": "50"},
        minimum="60",
    )
    assert texts(made, "13") == [
        "Included: max(13 - 1, 0) = 12",
        "Tier 1 up to 10: 10 × 10 = 100",
        "Tier 1 up to 10 reached: 2 = 2",
        "Tier 2: 2 × 5 = 10",
        "100 + 2 + 10 = 112",
        "Discount of 50 %: 112 - 112 × 50 ÷ 100 = 56",
        "Minimum: max(56, 60) = 60",
        "USD: 60, rounded half away from zero to 2 decimals = 60.00",
    ]


def test_a_part_of_a_month() -> None:
    service = Proration(JANUARY[0], JANUARY[0] + timedelta(days=15), *JANUARY, granularity="day")
    assert texts(price(model="flat", amount="100"), "0", proration=service) == [
        "Fee: 1 × 100 = 100",
        "15 of 31 days: 100 × 15 ÷ 31 = 1,500/31 (≈ 48.387097)",
        "USD: 1,500/31 (≈ 48.387097), rounded half away from zero to 2 decimals = 48.39",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1234567.50"), "1,234,567.5"),
        (Decimal("-0.5"), "-0.5"),
        (Fraction(1, 3), "1/3 (≈ 0.333333)"),
        (Fraction(5, 4), "1.25"),
        (Decimal("1E+3"), "1,000"),
    ],
)
def test_numbers_are_exact(value: Decimal | Fraction, text: str) -> None:
    assert number(value) == text
    assert evaluate(text) == value


QUANTITIES = st.decimals(-10, 10**9, places=6)
GROUPS = st.lists(st.tuples(st.sampled_from((*REGIONS, "mars", "venus")), QUANTITIES), max_size=6)


@given(
    made=random_prices(OF_A_METER),
    quantity=QUANTITIES,
    groups=GROUPS,
    count=st.integers(0, 10**6),
    currency=st.sampled_from(["JPY", "USD", "KWD"]),
    days=st.integers(1, 31),
)
def test_what_is_printed_recomputes_to_the_charge(
    made: Price,
    quantity: Decimal,
    groups: list[tuple[str, Decimal]],
    count: int,
    currency: str,
    days: int,
) -> None:
    service = Proration(JANUARY[0], JANUARY[0] + timedelta(days=days), *JANUARY)
    by_group = tuple(({"region": region}, units) for region, units in groups)
    seen = Seen(count=count, groups=by_group, hours=Decimal(744))
    context, usage = Context(currency, service), Usage(quantity, seen)
    if isinstance(made.model, TimeWeighted):
        usage = Usage(over(quantity, Decimal(3600)), seen)

    told = equations(made, usage, context)

    rated = rate(made, usage, context)
    assert [last_value(one.text) for one in told][-1] == Fraction(rated.rounded)
    walked = [line.tier for line in rated.lines if line.tier is not None]
    assert [one.tier for one in told if one.tier is not None] == walked
