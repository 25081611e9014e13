"""A percentage in a plan: of the sum and the number of events that its meter has counted."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.meters import Meter
from rating.charging import made_from
from rating.equations import equations
from rating.meter_fit import misfits
from rating.plan import read_plan
from rating.prices.model import Seen
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import price
from tests.unit.rating.subscribed import at, charges, plan, read, subscription

FEES: dict[str, Any] = {"model": "percentage", "rate": "0.0299", "fixed_amount": "0.3"}
PAYMENTS = {"slug": "payments", "meter": "paid", **FEES}


def test_the_rate_of_the_sum_and_the_fixed_amount_of_each() -> None:
    used = {at(1, 5): ["50", "100"], at(1, 9): "250"}
    [charge] = charges(subscription(at(1, 1)), plan(PAYMENTS), at(1, 20), used)

    assert (charge.quantity, charge.amount) == (400, Decimal("12.86"))
    assert charge.evidence["events"] == 3
    [line] = charge.lines
    assert line.description == "3 of 3 events pay: 400 × 0.0299 + 3 × 0.3"
    parts = made_from(charge)
    assert parts is not None
    assert rate(*parts).settled().lines == tuple(charge.lines)
    assert [one.text for one in equations(*parts)] == [
        "3 of 3 events pay: 400 × 0.0299 + 3 × 0.3 = 12.86",
        "USD: 12.86, rounded half away from zero to 2 decimals = 12.86",
    ]


@given(st.lists(st.decimals(0, 10**6, places=4), max_size=20))
def test_it_is_what_the_events_one_by_one_cost(amounts: list[Decimal]) -> None:
    made = price(**FEES)
    by_sum = Usage(sum(amounts, Decimal(0)), Seen(count=len(amounts)))
    by_event = Usage(seen=Seen(tuple(amounts)))
    context = Context("USD")
    assert rate(made, by_sum, context).amount == rate(made, by_event, context).amount


@pytest.mark.parametrize(
    ("more", "unit_amount"),
    [
        ({}, "0.0299"),
        ({"fixed_amount": "0.3"}, None),
        ({"min_per_event": "0.1"}, None),
        ({"max_per_event": "9"}, None),
    ],
)
def test_a_line_has_a_unit_amount_where_nothing_but_the_rate_makes_it(
    more: dict[str, str], unit_amount: str | None
) -> None:
    made = price(model="percentage", rate="0.0299", **more)
    [line] = rate(made, Usage(Decimal(100), Seen(amounts=(Decimal(100),))), Context("USD")).lines
    assert line.unit_amount == (None if unit_amount is None else Decimal(unit_amount))


def test_a_sum_that_was_corrected_below_zero_costs_its_events() -> None:
    made = rate(price(**FEES), Usage(Decimal(-5), Seen(count=2)), Context("USD"))
    assert made.amount == Decimal("0.6")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("free_events", "a discount of an amount"),
        ("free_amount", "graduated_percentage with a first tier of rate 0"),
        ("min_per_event", "fixed_amount"),
        ("max_per_event", "maximum for the whole period"),
    ],
)
def test_what_looks_at_each_event_is_refused_there_and_says_what_to_do(
    name: str, instead: str
) -> None:
    [error] = read_plan(plan(PAYMENTS | {name: "5"}))[1]
    assert (error.path, error.code) == (f"prices[0].{name}", "unsupported_model")
    assert instead in error.message
    assert read_plan(plan({**PAYMENTS, "free_events": "0"}))[1] == []
    with pytest.raises(ValueError, match=name):
        rate(
            price(**FEES, **{name: "5"}),
            Usage(Decimal(1), Seen(count=1)),
            Context("USD"),
        )


def test_the_amounts_are_those_of_a_meter_that_adds_them_up() -> None:
    meter = Meter(slug="paid", event_type="t", aggregation="avg", value="n")
    [error] = misfits(read(plan(PAYMENTS)), {"paid": meter})
    assert (error.path, error.code) == ("prices[0].meter", "unfit_meter")
    assert "paid is a avg, which is no sum of amounts" in error.message


def test_a_quantity_of_the_subscription_has_no_events() -> None:
    errors = read_plan(plan({"slug": "seats", "quantity": "seats", **FEES}))[1]
    assert [(one.path, one.code) for one in errors] == [("prices[0].model", "unsupported_model")]
