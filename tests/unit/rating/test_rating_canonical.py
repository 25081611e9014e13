"""Plans as code: the canonical form says all that a plan says, and the schema knows every field."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from rating.plan import read_plan
from rating.plan_schema import PLAN_SCHEMA
from rating.price_schema import FIELDS
from rating.prices import MODELS
from rating.variants import in_currency
from reference.schema import catalog_schema
from tests.unit.rating.random_plans import random_plans
from tests.unit.rating.subscribed import plan, read

SCHEMA = jsonschema_rs.validator_for(PLAN_SCHEMA)


@settings(deadline=None)
@given(random_plans())
def test_the_canonical_form_of_a_plan_is_the_plan(body: dict[str, Any]) -> None:
    made = read(body)
    said = made.canonical()
    again = read(json.loads(json.dumps(said)))
    assert again == made
    assert json.dumps(again.canonical()) == json.dumps(said)


@settings(deadline=None)
@given(random_plans())
def test_the_schema_takes_every_plan_and_its_canonical_form(body: dict[str, Any]) -> None:
    SCHEMA.validate(body)
    SCHEMA.validate(read(body).canonical())


@settings(deadline=None)
@given(random_plans())
def test_a_plan_in_another_currency_is_the_plan_with_those_fields(body: dict[str, Any]) -> None:
    made = read(body)
    assert made.currencies == (["USD", "EUR"] if "currencies" in body else ["USD"])
    for other in made.others:
        variant = in_currency(body, "EUR")
        assert variant is not None
        assert other == read(variant)
        assert other.slugs == made.slugs


@pytest.mark.parametrize(
    "body",
    [
        plan(colour="red"),
        plan({"slug": "base", "model": "flat", "amount": "1", "unit_amount": "2"}),
        plan({"slug": "base", "model": "guess"}),
        plan(interval={"months": 2}),
        plan(coupons=[{"slug": "c"}]),
        plan(trial={"days": 0}),
    ],
)
def test_what_the_schema_refuses_the_plan_refuses_too(body: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(body)
    assert read_plan(body)[1]


def test_the_schema_knows_every_model() -> None:
    assert set(FIELDS) == set(MODELS)


def test_the_published_schema_takes_a_catalog() -> None:
    catalog = {
        "meters": [{"slug": "requests", "event_type": "r", "aggregation": "count"}],
        "plans": [{"slug": "p", **plan()}],
        "rules": [
            {
                "slug": "r",
                "meter": "requests",
                "applies_to": {"plan": "p"},
                "window": "day",
                "limit": "10",
                "action": {"kind": "deny"},
            }
        ],
    }
    validator = jsonschema_rs.validator_for(json.loads(catalog_schema()))
    validator.validate(catalog)
    assert not validator.is_valid({"plan": []})


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        ({"interval": "week"}, "interval", "must be month, quarter, year"),
        ({"alignment": "lunar"}, "alignment", "must be one of"),
        ({"trial": {"days": 0}}, "trial.days", "from 1 to"),
        ({"one_offs": [{"slug": "base", "amount": "1"}]}, "one_offs[0].slug", "names another part"),
        ({"commitments": [{"slug": "m", "amount": "0"}]}, "commitments[0].amount", "above 0"),
        (
            {"commitments": [{"slug": "m", "amount": "1", "of": ["x"]}]},
            "commitments[0].of",
            "x is not a part",
        ),
        (
            {"credits": [{"slug": "c", "amount": "1", "price": "1", "of": ["paid"]}]},
            "credits[0].of",
            "paid is billed in advance",
        ),
        ({"coupons": [{"slug": "c", "percent": "101"}]}, "coupons[0].percent", "above 100"),
        ({"coupons": [{"slug": "c", "percent": "0"}]}, "coupons[0].percent", "must be above 0"),
        ({"coupons": [{"slug": "c", "amount": "0"}]}, "coupons[0].amount", "must be above 0"),
        (
            {"coupons": [{"slug": "c", "percent": "1", "amount": "1"}]},
            "coupons[0].percent",
            "either percent or amount",
        ),
        ({"coupons": [{"slug": "c", "percent": "1", "periods": 0}]}, "coupons[0].periods", "1"),
        ({"add_ons": [{"slug": "a", "prices": []}]}, "add_ons[0].prices", "a list of 1"),
        ({"currencies": {"EUR": {}}}, "currencies.EUR.base", "has no amount in EUR"),
        ({"currencies": {"USD": {}}}, "currencies.USD", "main currency already"),
        ({"currencies": {"EUR": {"x": {}}}}, "currencies.EUR.x", "is not a part"),
        ({"effective_from": "tomorrow"}, "effective_from", "RFC 3339"),
    ],
)
def test_a_plan_that_cannot_be_names_the_field_and_says_why(
    more: dict[str, Any], path: str, message: str
) -> None:
    prices = [
        {"slug": "base", "model": "flat", "amount": "1"},
        {"slug": "paid", "model": "flat", "amount": "1", "billed": "advance"},
    ]
    errors = read_plan(plan(*prices, **more))[1]
    assert any(one.path == path and message in one.message for one in errors), errors


@pytest.mark.parametrize(
    ("price", "path"),
    [
        ({"meter": "m", "quantity": "seats", "model": "unit", "unit_amount": "1"}, "quantity"),
        ({"quantity": "seats", "model": "flat", "amount": "1"}, "quantity"),
        ({"meter": "m", "model": "unit", "unit_amount": "1", "billed": "advance"}, "billed"),
        ({"model": "flat", "amount": "1", "default_quantity": "2"}, "default_quantity"),
        (
            {
                "model": "flat",
                "amount": "1",
                "from": "2026-02-01T00:00:00Z",
                "until": "2026-01-01T00:00:00Z",
            },
            "until",
        ),
    ],
)
def test_a_price_that_cannot_be_names_the_field(price: dict[str, Any], path: str) -> None:
    errors = read_plan(plan({"slug": "a", **price}))[1]
    assert [one.path for one in errors] == [f"prices[0].{path}"]
