"""The models beyond flat, unit and graduated: cases whose answers are known."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import round_line
from rating.price import Price, price_of
from rating.prices.model import Seen
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import costs, price, rated, read, tier

PACKAGE = price(model="package", package_size="10", amount="15")
VOLUME = price(
    model="volume",
    tiers=[tier("5", "0", "100"), tier("10", "0", "150"), tier("15", "10"), tier(None, "5")],
)
GRADUATED_PERCENTAGE = price(
    model="graduated_percentage",
    tiers=[
        {"up_to": "10", "rate": "0.01", "flat_amount": "200"},
        {"up_to": "20", "rate": "0.02", "flat_amount": "300"},
        {"up_to": None, "rate": "0.03", "flat_amount": "400"},
    ],
)
PERCENTAGE = {"model": "percentage", "rate": "0.013", "fixed_amount": "2"}
MATRIX = {
    "model": "matrix",
    "dimensions": ["region"],
    "default": "1",
    "cells": [{"group": {"region": "eu"}, "unit_amount": "2"}],
}
MONTHLY = {"model": "time_weighted", "unit_amount": "1", "per": "month"}


@pytest.mark.parametrize(
    ("made", "quantity", "expected"),
    [
        *[
            (PACKAGE, q, e)
            for q, e in zip(
                ["0", "1", "9", "10", "11"], ["0", "15", "15", "15", "30"], strict=False
            )
        ],
        *[
            (VOLUME, q, e)
            for q, e in zip(
                ["0", "3", "5", "14", "15", "16", "100"],
                ["100", "100", "100", "140", "150", "80", "500"],
                strict=False,
            )
        ],
        *[
            (GRADUATED_PERCENTAGE, q, e)
            for q, e in zip(
                ["0", "1", "10", "11", "12", "21"],
                ["200", "200.01", "200.10", "500.12", "500.14", "900.33"],
                strict=False,
            )
        ],
        (price(model="dynamic", multiplier="1.33333"), "10", "13.33"),
        (price(**MATRIX), "10", "10"),
        (price(model="time_weighted", unit_amount="0.5", per="hour"), "3", "1.50"),
    ],
)
def test_a_quantity_costs(made: Price, quantity: str, expected: str) -> None:
    assert Decimal(costs(made, quantity)) == Decimal(expected)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ({}, "18.40"),
        ({"free_events": "3"}, "7.20"),
        ({"free_events": "3", "free_amount": "250"}, "11.15"),
        ({"min_per_event": "3", "max_per_event": "5"}, "16.30"),
    ],
)
def test_a_percentage_of_each_event(free: dict[str, str], expected: str) -> None:
    amounts = tuple(map(Decimal, ("50", "100", "250", "400")))
    result = rate(price(**PERCENTAGE, **free), Usage(seen=Seen(amounts)), Context("USD"))
    assert str(result.rounded) == expected


def test_a_cell_is_found_by_its_group() -> None:
    usage = Usage(Decimal(10), Seen(group={"region": "eu"}))
    assert rate(price(**MATRIX), usage, Context("USD")).amount == 20


def test_a_level_costs_as_long_as_it_is_held() -> None:
    usage = Usage(Decimal(2500 * 648), Seen(hours=Fraction(744)))
    result = rate(price(**MONTHLY), usage, Context("USD"))
    assert str(round_line(result.amount, "USD")) == "2177.42"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"model": "package", "package_size": "0", "amount": "1"}, "price.package_size"),
        ({"model": "package", "package_size": "1", "amount": "-1"}, "price.amount"),
        ({"model": "volume", "tiers": [tier("5")]}, "price.tiers[0].up_to"),
        (
            {"model": "graduated_percentage", "tiers": [tier(None, "1")]},
            "price.tiers[0].unit_amount",
        ),
        (PERCENTAGE | {"min_per_event": "2", "max_per_event": "1"}, "price.min_per_event"),
        (PERCENTAGE | {"free_events": "1.5"}, "price.free_events"),
        (MATRIX | {"dimensions": []}, "price.dimensions"),
        (MATRIX | {"cells": [{"group": {}, "unit_amount": "1"}]}, "price.cells[0].group"),
        (MATRIX | {"cells": MATRIX["cells"] * 2}, "price.cells[1].group"),  # type: ignore[operator]
        (MONTHLY | {"per": "year"}, "price.per"),
        ({"model": "dynamic", "multiplier": "-1"}, "price.multiplier"),
    ],
)
def test_an_invalid_price_is_refused(value: dict[str, Any], path: str) -> None:
    assert path in [error.path for error in read(value)[1]]


@pytest.mark.parametrize(
    "made", [PACKAGE, VOLUME, GRADUATED_PERCENTAGE, price(**PERCENTAGE), price(**MATRIX)]
)
def test_the_canonical_form_reads_back(made: Price) -> None:
    assert price_of(made.fields()) == made


@given(st.decimals(0, 10**18, places=6))
def test_volume_and_package_agree_with_fractions(quantity: Decimal) -> None:
    units = Fraction(quantity)
    assert rated(PACKAGE, quantity).amount == -(-units // 10) * 15
    expected = 100 if units <= 5 else 150 if units <= 10 else units * (10 if units <= 15 else 5)
    assert Fraction(rated(VOLUME, quantity).amount) == expected
