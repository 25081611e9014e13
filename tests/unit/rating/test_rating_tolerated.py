"""Rules that are younger than plans: what is new is refused, what was published stays readable."""

from datetime import UTC, datetime
from typing import Any

import pytest

from rating.billing import PlanKey
from rating.plan import read_plan
from rating.plan_book import NoVariant, variant
from rating.price import price_of
from rating.prices.fields import FieldError
from rating.store.plans import PlanRow
from tests.unit.rating.subscribed import FEE, plan

VOLUMES = {"slug": "volumes", "meter": "stored", "model": "time_weighted", "unit_amount": "1"}
MONTHLY, HOURLY = VOLUMES | {"per": "month"}, VOLUMES | {"per": "hour"}
CONVERTED = {
    "slug": "requests",
    "meter": "requests",
    "model": "unit",
    "unit_amount": "1",
    "conversion": {"divide": "3", "precision": 2},
}


def row(body: dict[str, Any]) -> PlanRow:
    return PlanRow(
        plan="p", version=1, body=body, units={}, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def refused(body: dict[str, Any]) -> list[FieldError]:
    return read_plan(body)[1]


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("quarter", "quarter"),
        ("year", "year"),
        ({"weeks": 1}, "week"),
        ({"days": 30}, "30 days"),
        ({"hours": 720}, "720 hours"),
    ],
)
def test_a_price_of_a_month_needs_months(interval: Any, words: str) -> None:
    [error] = refused(plan(HOURLY | {"slug": "other"}, MONTHLY, interval=interval))
    said = f"would be a price of the whole billing period, {words}"
    assert error.path == "prices[1].per"
    assert error.message == f'{said}: use "hour", or the interval "month"'


def test_months_and_hours_are_what_they_are_called() -> None:
    assert refused(plan(MONTHLY)) == []
    assert refused(plan(MONTHLY, interval="month", alignment="anniversary")) == []
    assert refused(plan(HOURLY, interval="year")) == []


def test_a_price_of_a_month_in_an_add_on_and_in_another_currency_is_told_once() -> None:
    backup = {"slug": "backup", "prices": [MONTHLY]}
    euro = {"EUR": {"base": {"amount": "9"}, "volumes": {"unit_amount": "2"}}}
    body = plan(interval="quarter", add_ons=[backup], currencies=euro)
    assert [one.path for one in refused(body)] == ["add_ons[0].prices[0].per"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (plan(FEE, MONTHLY, interval="quarter"), "prices[1].per"),
        (plan(FEE, CONVERTED), "prices[1].conversion.precision"),
    ],
)
def test_a_version_that_was_published_before_stays_readable(
    body: dict[str, Any], path: str
) -> None:
    read = variant(row(body), PlanKey("p", 1, "USD"))
    assert [price.slug for price in read.plan.prices] == ["base", body["prices"][1]["slug"]]
    assert [one.path for one in read.tolerated] == [path]
    assert price_of(body["prices"][1]) == read.plan.prices[1].price


def test_an_own_price_of_a_subscription_stays_readable_too() -> None:
    own = (("volumes", '{"per":"month"}'),)
    read = variant(row(plan(FEE, HOURLY, interval="year")), PlanKey("p", 1, "USD", own))
    assert [one.path for one in read.tolerated] == ["prices[1].per"]


def test_what_cannot_be_read_is_no_variant_though_it_has_what_is_tolerated() -> None:
    own = (("base", '{"amount":"-1"}'),)
    with pytest.raises(NoVariant) as found:
        variant(row(plan(FEE, CONVERTED)), PlanKey("p", 1, "USD", own))
    assert [one.path for one in found.value.errors] == [
        "prices[0].amount",
        "prices[1].conversion.precision",
    ]
