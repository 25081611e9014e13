"""A matrix over usage in several groups: what each cell has, and what is taken across cells."""

from decimal import Decimal
from typing import Any

import pytest

from common.contracts.meters import Meter
from rating.charging import Measured, made_from, make_charges, metered
from rating.equations import equations
from rating.meter_fit import misfits
from rating.parts.period import Held
from rating.plan import read_plan
from rating.prices.model import GroupUsage, Seen
from rating.rate import Context, Rated, Usage, left_over, rate
from tests.unit.rating.prices import price
from tests.unit.rating.subscribed import at, periods_of, plan, read, subscription

MATRIX: dict[str, Any] = {
    "model": "matrix",
    "dimensions": ["region"],
    "default": "1",
    "cells": [
        {"group": {"region": "us"}, "unit_amount": "5"},
        {"group": {"region": "eu"}, "unit_amount": "2"},
    ],
}
STORAGE = {"slug": "storage", "meter": "bytes", **MATRIX}


def used(**regions: str) -> Usage:
    groups: tuple[GroupUsage, ...] = tuple(
        ({"region": region}, Decimal(units)) for region, units in regions.items()
    )
    return Usage(
        sum((Decimal(units) for units in regions.values()), Decimal(0)), Seen(groups=groups)
    )


def rated(usage: Usage, **modifiers: Any) -> Rated:
    return rate(price(**MATRIX, **modifiers), usage, Context("USD"))


def lines(usage: Usage, **modifiers: Any) -> list[tuple[str, Decimal]]:
    return [(line.description, line.amount) for line in rated(usage, **modifiers).lines]


def test_each_cell_is_a_line_in_the_order_of_the_price() -> None:
    assert lines(used(eu="10", mars="1", us="3", venus="4")) == [
        ("region us: 3 × 5", Decimal(15)),
        ("region eu: 10 × 2", Decimal(20)),
        ("default: 5 × 1", Decimal(5)),
    ]


def test_a_single_stray_group_is_named() -> None:
    assert lines(used(mars="1")) == [("region mars (default): 1 × 1", Decimal(1))]
    assert lines(used()) == [("default: 0 × 1", Decimal(0))]


def test_groups_that_differ_elsewhere_are_one_cell() -> None:
    groups = tuple(({"region": "eu", "zone": zone}, Decimal("0.6")) for zone in "ab")
    rounded = {"conversion": {"multiply": "1", "rounding": "ceiling"}}
    usage = Usage(Decimal("1.2"), Seen(groups=groups))
    assert rated(usage, **rounded).amount == 4


def test_a_conversion_rounds_each_cell_once() -> None:
    packs = {"conversion": {"divide": "10", "rounding": "ceiling"}}
    assert lines(used(eu="11", us="1"), **packs) == [
        ("region us: 1 ÷ 10, ceiling = 1", Decimal(0)),
        ("region eu: 11 ÷ 10, ceiling = 2", Decimal(0)),
        ("region us: 1 × 5", Decimal(5)),
        ("region eu: 2 × 2", Decimal(4)),
    ]


def test_included_and_discounted_units_go_from_cell_to_cell() -> None:
    assert lines(used(eu="10", us="3", mars="7"), included="5", discount={"quantity": "9"}) == [
        ("region us: 3 of 5 included units", Decimal(0)),
        ("region eu: 2 of 2 included units", Decimal(0)),
        ("region eu: 8 of 9 discounted units", Decimal(0)),
        ("region mars (default): 1 of 1 discounted units", Decimal(0)),
        ("region us: 0 × 5", Decimal(0)),
        ("region eu: 0 × 2", Decimal(0)),
        ("region mars (default): 6 × 1", Decimal(6)),
    ]


def test_what_a_minimum_lacks_is_the_first_cells() -> None:
    assert lines(used(eu="1", mars="2"), minimum_quantity="5") == [
        ("region eu: At least 5 units in all, 2 more here", Decimal(0)),
        ("region eu: 3 × 2", Decimal(6)),
        ("region mars (default): 2 × 1", Decimal(2)),
    ]


def test_a_single_cell_is_not_named_where_nothing_is_taken_across_cells() -> None:
    assert lines(used(eu="3"), included="1", minimum_quantity="2") == [
        ("1 of 1 included units", Decimal(0)),
        ("region eu: 2 × 2", Decimal(4)),
    ]


def test_money_is_bounded_on_the_sum() -> None:
    made = rated(used(eu="10", us="4"), discount={"percent": "50"}, maximum="18")
    assert [line.amount for line in made.lines] == [20, 20, -20, -2]


def test_a_cell_that_was_corrected_below_zero_takes_nothing_off_the_others() -> None:
    assert rated(used(eu="10", us="-4")).amount == 20


def test_what_is_left_over_counts_all_cells() -> None:
    made = price(**MATRIX, included="10", rollover={})
    assert left_over(made, used(eu="3", us="4")) == 3


def test_the_explanation_names_the_cells() -> None:
    usage = used(eu="10", us="3")
    made = price(**MATRIX, conversion={"divide": "2"}, included="4", minimum_quantity="9")
    assert [one.text for one in equations(made, usage, Context("USD"))] == [
        "region us: 3 ÷ 2 = 1.5",
        "region eu: 10 ÷ 2 = 5",
        "region us: Included: max(1.5 - 4, 0) = 0",
        "region eu: Included: max(5 - 2.5, 0) = 2.5",
        "region us: At least 9 units in all: 0 + 6.5 = 6.5",
        "region us: 6.5 × 5 = 32.5",
        "region eu: 2.5 × 2 = 5",
        "32.5 + 5 = 37.5",
        "USD: 37.5, rounded half away from zero to 2 decimals = 37.50",
    ]


def test_the_charge_of_a_plan_can_be_made_again_from_its_evidence() -> None:
    billed = periods_of(subscription(at(1, 1)), {"p": plan(STORAGE)}, at(1, 20))
    assert list(metered(billed).values()) == [{"group"}]

    def measure(meter: str, held: Held) -> Measured:
        usage = used(eu="10", mars="1", venus="4")
        return Measured(usage.quantity, 3, {0: 7}, groups=usage.seen.groups or ())

    [charge] = make_charges(subscription(at(1, 1)), billed, measure)

    assert (charge.quantity, charge.amount) == (15, 25)
    assert charge.evidence["cells"] == [
        {"group": {"region": "eu"}, "quantity": "10"},
        {"group": None, "quantity": "5"},
    ]
    parts = made_from(charge)
    assert parts is not None
    assert rate(*parts).settled().lines == tuple(charge.lines)


def test_a_quantity_of_the_subscription_has_no_groups() -> None:
    errors = read_plan(plan({"slug": "seats", "quantity": "seats", **MATRIX}))[1]
    assert [(one.path, one.code) for one in errors] == [("prices[0].model", "unsupported_model")]


def meter(aggregation: str = "sum", *dimensions: str) -> dict[str, Meter]:
    group_by = {name: name for name in dimensions}
    made = Meter(slug="bytes", event_type="t", aggregation=aggregation, group_by=group_by)
    return {"bytes": made}


@pytest.mark.parametrize(
    ("known", "path", "said"),
    [
        (meter("sum"), "dimensions", "bytes is not grouped by region; its dimensions: none"),
        (meter("sum", "zone"), "dimensions", "its dimensions: zone"),
        (meter("max", "region"), "meter", "bytes is a max, which cannot be added up"),
        (meter("unique_count", "region"), "meter", "a meter of count or sum"),
    ],
)
def test_a_meter_that_does_not_keep_what_the_matrix_looks_at(
    known: dict[str, Meter], path: str, said: str
) -> None:
    add_on = {"slug": "more", "name": "More", "prices": [STORAGE | {"slug": "other"}]}
    made = read(plan(STORAGE, add_ons=[add_on]))
    found = misfits(made, known)
    assert [one.path for one in found] == [f"prices[0].{path}", f"add_ons[0].prices[0].{path}"]
    assert all(said in one.message for one in found)
    assert {one.code for one in found} == {"unfit_meter"}


def test_a_meter_that_fits_or_that_nobody_knows_yet() -> None:
    made = read(plan(STORAGE))
    assert misfits(made, meter("count", "region", "zone")) == []
    assert misfits(made, {}) == []
