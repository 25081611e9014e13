"""Plans are read whole: everything that is wrong is told, with its path."""

from typing import Any

import pytest

from rating.plan import read_plan

BASE = {"slug": "base", "meter": None, "model": "flat", "amount": "49.00"}
REQUESTS = {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.002"}
PLAN = {"name": "Standard", "currency": "EUR", "interval": "month", "prices": [BASE, REQUESTS]}


def test_a_plan_is_read_as_its_author_writes_it() -> None:
    plan, errors = read_plan(PLAN)
    assert errors == []
    assert (plan.name, plan.currency, plan.meters) == ("Standard", "EUR", {"requests"})
    assert [price.slug for price in plan.prices] == ["base", "requests"]


def test_a_prepaid_plan_is_a_fee_and_a_price_with_included_units() -> None:
    included = REQUESTS | {"included": "10000", "unit_amount": "0"}
    plan, errors = read_plan(PLAN | {"prices": [BASE, included]})
    assert errors == []
    assert plan.prices[1].price.fields() == {
        "model": "unit",
        "unit_amount": "0",
        "included": "10000",
    }


@pytest.mark.parametrize(
    "other",
    [
        PLAN | {"prices": [BASE | {"amount": "49"}, REQUESTS]},
        PLAN | {"prices": [BASE | {"amount": 49}, REQUESTS | {"description": ""}]},
        {key: value for key, value in PLAN.items() if key != "interval"},
    ],
)
def test_plans_that_say_the_same_are_equal(other: dict[str, Any]) -> None:
    assert read_plan(other) == read_plan(PLAN)
    assert read_plan(other)[0].canonical() == read_plan(PLAN)[0].canonical()


@pytest.mark.parametrize(
    "other",
    [
        PLAN | {"name": "Other"},
        PLAN | {"prices": [REQUESTS, BASE]},
        PLAN | {"prices": [BASE, REQUESTS | {"meter": "bytes"}]},
        PLAN | {"prices": [BASE, REQUESTS | {"included": "1"}]},
    ],
)
def test_plans_that_say_something_else_differ(other: dict[str, Any]) -> None:
    assert read_plan(other)[1] == []
    assert read_plan(other)[0] != read_plan(PLAN)[0]


def test_all_errors_are_told_at_once() -> None:
    body = {
        "name": "",
        "currency": "EURO",
        "prices": [BASE | {"model": "cubic"}, BASE, {"slug": "x", "model": "unit"}],
        "extra": 1,
    }
    paths = [error.path for error in read_plan(body)[1]]
    assert paths == [
        "name",
        "currency",
        "prices[0].model",
        "prices[1].slug",
        "prices[2].unit_amount",
        "extra",
    ]


def test_a_description_is_not_part_of_what_a_price_costs() -> None:
    plan, _ = read_plan(PLAN | {"prices": [BASE | {"description": "Base fee"}]})
    assert plan.prices[0].description == "Base fee"
    assert "description" not in plan.prices[0].price.fields()
