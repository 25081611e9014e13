"""A gauge in a plan: a level costs as long as it is held, and a period waits for its end."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts.meters import Meter
from common.contracts.rollups import Aggregate, Rollup
from common.usage import Usage
from rating.billing import holds_levels, next_rating
from rating.charging import made_from
from rating.equations import equations
from rating.explained import explain
from rating.meter_fit import misfits
from rating.plan import read_plan
from rating.rate import rate
from rating.store.work import concerned
from rating.subscription import LATEST
from tests.unit.rating.subscribed import (
    at,
    charges,
    due,
    held_levels,
    onto,
    plan,
    plans_of,
    read,
    subscription,
)

MONTHLY: dict[str, Any] = {"model": "time_weighted", "unit_amount": "1", "per": "month"}
VOLUMES = {"slug": "volumes", "meter": "stored", **MONTHLY}
HOURLY = VOLUMES | {"per": "hour", "unit_amount": "0.01"}


def test_a_level_is_held_until_the_next_one_and_into_the_next_period() -> None:
    levels = {at(1, 1): "100", at(1, 16, 12): "200"}
    made = charges(subscription(at(1, 1)), plan(VOLUMES), at(3, 1), levels=levels)
    assert due(made) == {
        "volumes 01-01": "150.00",
        "volumes 02-01": "200.00",
        "volumes 03-01": "0.00",
    }
    assert [one.quantity for one in made] == [150 * 744, 200 * 672, 0]
    assert made[0].unit == "unit-hours"


def test_a_running_period_counts_to_its_last_report() -> None:
    levels = {at(1, 1): "100", at(1, 2): "50"}
    [charge] = charges(subscription(at(1, 1)), plan(HOURLY), at(1, 20), levels=levels)
    assert charge.amount == 24
    assert charge.evidence["levels"] == {
        "unit_seconds": "8640000",
        "until": "2026-01-02T00:00:00Z",
        "slots": 2,
        "groups": 1,
    }


def test_the_charge_can_be_made_again_where_its_hours_have_no_end() -> None:
    levels = {at(1, 1): "1", at(1, 1, 0, 0, 1): "0"}
    for price in (VOLUMES, HOURLY):
        [charge] = charges(subscription(at(1, 1)), plan(price), at(1, 20), levels=levels)
        parts = made_from(charge)
        assert parts is not None
        again = rate(*parts).settled()
        assert (again.amount, again.lines) == (charge.amount, tuple(charge.lines))
    assert (
        equations(*parts)[0].text
        == "1/3,600 (≈ 0.000278) unit-hours × 0.01 = 1/360,000 (≈ 0.000003)"
    )


def test_a_part_of_a_period_is_of_the_whole_months_hours() -> None:
    halves = subscription(at(1, 1), ("plan", at(1, 16, 12), onto("q")))
    plans = {"p": plan(VOLUMES), "q": plan(VOLUMES)}
    made = charges(halves, plans, at(2, 1), levels={at(1, 1): "100"})
    assert due(made)["volumes 01-01"] == due(made)["volumes 01-16"] == "50.00"


def test_it_waits_for_the_end_of_a_period_that_nothing_follows() -> None:
    ending = subscription(at(1, 1), ("end", at(2, 10), {}))
    gauge, fee = ({"p": plan(price)} for price in (VOLUMES, {**VOLUMES, "model": "unit"}))
    fee["p"]["prices"][0].pop("per")
    assert next_rating(ending, plans_of(ending, gauge), at(1, 5)) == at(2, 1)
    assert next_rating(ending, plans_of(ending, gauge), at(2, 5)) == at(2, 10)
    assert next_rating(ending, plans_of(ending, gauge), at(2, 10)) is None
    assert next_rating(ending, plans_of(ending, fee), at(2, 5)) is None
    assert holds_levels(ending, plans_of(ending, gauge))
    assert not holds_levels(ending, plans_of(ending, fee))


ON = {"add_on": "backup", "enabled": True}
OFF = {"add_on": "backup", "enabled": False}


@pytest.mark.parametrize(
    ("facts", "price"),
    [
        ([], {"until": "2026-01-10T00:00:00Z"}),
        ([], {"from": "2026-01-07T00:00:00Z", "until": "2026-01-10T00:00:00Z"}),
        ([("pause", at(1, 10), {})], {}),
        ([("plan", at(1, 10), onto("q"))], {}),
        ([("end", at(1, 10), {})], {}),
        ([("cut", at(1, 10), {})], {}),
    ],
    ids=["until", "from, until", "pause", "plan", "end", "cut"],
)
def test_a_price_that_ends_within_a_period_is_rated_at_its_end(
    facts: list[Any], price: dict[str, Any]
) -> None:
    history = subscription(at(1, 1), *facts)
    plans = plans_of(history, {"p": plan(VOLUMES | price), "q": plan()})
    assert next_rating(history, plans, at(1, 5)) == at(1, 10)


def test_a_price_of_an_add_on_is_rated_when_it_is_off() -> None:
    facts = [("add_on", at(1, 3), ON), ("add_on", at(1, 10), OFF), ("add_on", at(1, 20), ON)]
    history = subscription(at(1, 1), *facts)
    backup = {"slug": "backup", "prices": [VOLUMES]}
    plans = plans_of(history, {"p": plan(add_ons=[backup])})
    assert next_rating(history, plans, at(1, 5)) == at(1, 10)
    assert next_rating(history, plans, at(1, 10)) == at(2, 1)


SLOT = timedelta(seconds=10)
DAYS = st.integers(1, 28)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("pause", {}),
                ("resume", {}),
                ("cut", {}),
                ("plan", onto("p")),
                ("plan", onto("q")),
                ("add_on", ON),
                ("add_on", OFF),
            ]
        ),
        st.integers(1, 3),
        DAYS,
    ),
    max_size=6,
)


@settings(deadline=None)
@given(CHANGES, st.lists(DAYS, min_size=2, max_size=2, unique=True), st.integers(1, 3), DAYS)
def test_between_two_ratings_time_changes_nothing(
    changes: list[Any], window: list[int], month: int, day: int
) -> None:
    history = subscription(
        at(1, 1), *((kind, at(*when, 12), body) for (kind, body), *when in changes)
    )
    since, until = (f"2026-02-{one:02}T00:00:00Z" for one in sorted(window))
    limited = VOLUMES | {"from": since, "until": until}
    backup = {"slug": "backup", "prices": [VOLUMES | {"slug": "copies"}]}
    bodies = {"p": plan(limited, add_ons=[backup]), "q": plan(HOURLY)}
    by = at(month, day, 18)
    following = next_rating(history, plans_of(history, bodies), by)
    levels = {at(1, 2): "100", at(1, 20): "200"} | ({at(2, 5): "50"} if month > 2 else {})
    levels = {when: level for when, level in levels.items() if when <= by}
    later = at(12, 31) if following is None else following - SLOT
    seen, unchanged = (charges(history, bodies, now, levels=levels) for now in (by, later))
    assert unchanged == seen


def test_a_report_concerns_all_that_follows() -> None:
    def rollup(aggregation: str) -> Rollup:
        return Rollup(
            tenant="acme",
            meter="stored",
            aggregation=aggregation,
            unit="",
            group={},
            hour=at(1, 1, 5),
            shard=0,
            version=1,
            value=Aggregate(count=1),
        )

    assert concerned(rollup("latest")) == (at(1, 1, 5), LATEST)
    assert concerned(rollup("sum")) == (at(1, 1, 5), at(1, 1, 5) + timedelta(hours=1))


@pytest.mark.parametrize("aggregation", ["sum", "max", "avg"])
def test_a_meter_that_reports_no_level(aggregation: str) -> None:
    made = read(plan(VOLUMES))
    meter = Meter(slug="stored", event_type="t", aggregation=aggregation)
    [error] = misfits(made, {"stored": meter})
    assert (error.path, error.code) == ("prices[0].meter", "unfit_meter")
    assert misfits(made, {"stored": Meter(slug="s", event_type="t", aggregation="latest")}) == []


def test_a_quantity_of_the_subscription_has_no_levels() -> None:
    errors = read_plan(plan({"slug": "seats", "quantity": "seats", **MONTHLY}))[1]
    assert [(one.path, one.code) for one in errors] == [("prices[0].model", "unsupported_model")]


def test_nothing_reported_is_nothing_held() -> None:
    [charge] = charges(subscription(at(1, 1)), plan(VOLUMES), at(1, 20))
    assert (charge.quantity, charge.amount) == (Decimal(0), Decimal(0))


def test_a_report_before_the_period_makes_its_charge_old() -> None:
    levels = {at(1, 1): "100"}
    charge = charges(subscription(at(1, 1)), plan(VOLUMES), at(2, 1), levels=levels)[0]
    now = Usage(Decimal(0), 0, {}, 0)
    for reports, is_current in ((levels, True), ({at(1, 1): "90"}, False)):
        held = held_levels(reports, (at(1, 1), at(2, 1)), at(2, 1))
        usage = explain(charge, None, now, [], None, held).usage
        assert usage is not None
        assert usage.is_current == is_current


def test_a_charge_that_counted_its_slots_as_reports_can_still_be_explained() -> None:
    levels = {at(1, 1): "100"}
    charge = charges(subscription(at(1, 1)), plan(VOLUMES), at(2, 1), levels=levels)[0]
    seen = dict(charge.evidence["levels"])
    seen["reports"] = seen.pop("slots")
    old = msgspec.structs.replace(charge, evidence={**charge.evidence, "levels": seen})
    held = held_levels(levels, (at(1, 1), at(2, 1)), at(2, 1))
    found = explain(old, None, Usage(Decimal(0), 0, {}, 0), [], None, held)
    assert (found.recomputes, found.usage and found.usage.is_current) == (True, True)
