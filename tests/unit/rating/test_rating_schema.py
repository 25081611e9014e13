"""The JSON Schema and the service judge alike, and the schema says at which field."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.plan import read_plan
from rating.plan_schema import PLAN_SCHEMA
from reference.schema import catalog_schema
from tests.unit.rating.random_plans import random_plans
from tests.unit.rating.subscribed import plan

SCHEMA = jsonschema_rs.validator_for(PLAN_SCHEMA)
OPEN = [{"up_to": "10", "unit_amount": "1"}, {"up_to": None, "unit_amount": "2"}]
UNIT = {"meter": "m", "model": "unit", "unit_amount": "1"}
SEATS = {"quantity": "seats", "model": "unit", "unit_amount": "1"}
FLAT = {"model": "flat", "amount": "1"}
TIERED = {"meter": "m", "model": "graduated"}
PACKAGE = {"meter": "m", "model": "package", "amount": "1"}
PERCENTAGE = {"meter": "m", "model": "percentage", "rate": "0.03"}
CELL = {"group": {"region": "eu"}, "unit_amount": "1"}
MATRIX = {
    "meter": "m",
    "model": "matrix",
    "dimensions": ["region"],
    "default": "1",
    "cells": [CELL],
}
LEVEL = {"meter": "m", "model": "time_weighted", "unit_amount": "1", "per": "hour"}

TAKEN: list[dict[str, Any]] = [
    FLAT,
    FLAT | {"meter": None},
    FLAT | {"discount": {"percent": "100"}, "minimum": "1", "billed": "advance"},
    UNIT | {"included": "5", "rollover": True, "minimum_quantity": "1"},
    UNIT | {"rollover": {"cap": "5"}, "quantity": None},
    UNIT | {"unit_amount": 2, "conversion": {"divide": "1000", "rounding": "ceiling"}},
    UNIT | {"conversion": {"multiply": "0.5", "rounding": "floor", "precision": 18}},
    UNIT | {"discount": {"quantity": "5"}},
    SEATS | {"default_quantity": "3", "billed": "advance"},
    TIERED | {"tiers": OPEN},
    TIERED | {"tiers": [{"unit_amount": "1"}]},
    TIERED | {"model": "graduated_percentage", "tiers": [{"up_to": None, "rate": "0.1"}]},
    {"quantity": "seats", "model": "package", "amount": "1", "package_size": "0.001"},
    PACKAGE | {"package_size": "10"},
    PERCENTAGE | {"fixed_amount": "1", "discount": {"amount": "5"}},
    MATRIX | {"included": "5"},
    LEVEL | {"maximum": "10"},
    {"meter": "m", "model": "dynamic", "multiplier": "1.5"},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    (FLAT | {"model": "cubic"}, "model"),
    ({"amount": "1"}, ""),
    (FLAT | {"amount": "-1"}, "amount"),
    (FLAT | {"amount": 1.5}, "amount"),
    (FLAT | {"unit_amount": "1"}, ""),
    (FLAT | {"included": "5"}, ""),
    (FLAT | {"conversion": {"multiply": "2"}}, ""),
    (FLAT | {"meter": "m"}, "meter"),
    (FLAT | {"quantity": "seats"}, "quantity"),
    (FLAT | {"discount": {"quantity": "1"}}, "discount"),
    (FLAT | {"discount": {"percent": "101"}}, "discount/percent"),
    (FLAT | {"discount": {"percent": "100.5"}}, "discount/percent"),
    (FLAT | {"discount": {"percent": "10", "amount": "1"}}, "discount"),
    (FLAT | {"discount": {}}, "discount"),
    ({"model": "unit", "unit_amount": "1"}, ""),
    (UNIT | {"meter": ""}, "meter"),
    (UNIT | {"quantity": "seats"}, "meter"),
    (UNIT | {"billed": "advance"}, "billed"),
    (UNIT | {"default_quantity": "1"}, "default_quantity"),
    (UNIT | {"conversion": {"multiply": "2", "divide": "3"}}, "conversion/divide"),
    (UNIT | {"conversion": {"rounding": "floor"}}, "conversion"),
    (UNIT | {"conversion": {"divide": "0.0"}}, "conversion/divide"),
    (UNIT | {"conversion": {"divide": 0}}, "conversion/divide"),
    (UNIT | {"conversion": {"divide": "2", "precision": 2}}, "conversion/precision"),
    (
        UNIT | {"conversion": {"divide": "2", "rounding": "floor", "precision": 19}},
        "conversion/precision",
    ),
    (UNIT | {"conversion": {"divide": "2", "rounding": "up"}}, "conversion/rounding"),
    (SEATS | {"rollover": True}, "rollover"),
    (TIERED | {"tiers": [{"up_to": "10", "unit_amount": "1"}]}, "tiers"),
    (TIERED | {"tiers": [OPEN[1], OPEN[1]]}, "tiers"),
    (TIERED | {"tiers": []}, "tiers"),
    (TIERED | {"tiers": [{"up_to": "0", "unit_amount": "1"}, OPEN[1]]}, "tiers/0/up_to"),
    (TIERED | {"tiers": [{"up_to": None, "rate": "1"}]}, "tiers/0"),
    (PACKAGE, ""),
    (PACKAGE | {"package_size": "0"}, "package_size"),
    (PERCENTAGE | {"free_events": "3"}, ""),
    (PERCENTAGE | {"max_per_event": "3"}, ""),
    (PERCENTAGE | {"included": "3"}, ""),
    (PERCENTAGE | {"meter": None}, "meter"),
    (MATRIX | {"dimensions": []}, "dimensions"),
    (MATRIX | {"dimensions": ["region", "region"]}, "dimensions"),
    (MATRIX | {"cells": [{"group": {"region": "eu"}}]}, "cells/0"),
    (LEVEL | {"per": "day"}, "per"),
]
REFUSED_PLANS: list[tuple[dict[str, Any], str]] = [
    ({"currency": "ZZZ"}, "currency"),
    ({"currency": "XAU"}, "currency"),
    ({"effective_from": "tomorrow"}, "effective_from"),
    ({"currencies": {}}, "currencies"),
    ({"currencies": {"ZZZ": {"base": {"amount": "1"}}}}, "currencies"),
    ({"currencies": {"EUR": {"base": {"amount": "x"}}}}, "currencies/EUR/base/amount"),
    ({"currencies": {"EUR": {"base": {"amount": "1", "meter": "m"}}}}, "currencies/EUR/base/meter"),
    ({"interval": "week"}, "interval"),
    ({"interval": {"weeks": 2, "days": 1}}, "interval"),
    ({"interval": {"weeks": 0}}, "interval/weeks"),
    ({"interval": {}}, "interval"),
    ({"trial": {"days": 3651}}, "trial/days"),
    ({"coupons": [{"slug": "c", "percent": "0"}]}, "coupons/0/percent"),
    ({"coupons": [{"slug": "c", "percent": "101"}]}, "coupons/0/percent"),
    ({"coupons": [{"slug": "c", "percent": "1", "amount": "1"}]}, "coupons/0/percent"),
    ({"coupons": [{"slug": "c"}]}, "coupons/0"),
    ({"coupons": [{"slug": "c", "amount": "1", "periods": 10_001}]}, "coupons/0/periods"),
    ({"commitments": [{"slug": "c", "amount": "0"}]}, "commitments/0/amount"),
    ({"credits": [{"slug": "c", "amount": "0", "price": "1"}]}, "credits/0/amount"),
    (
        {"credits": [{"slug": "c", "amount": "1", "price": "1", "every": "year"}]},
        "credits/0/every",
    ),
    ({"add_ons": [{"slug": "a", "prices": [{"slug": "x", **FLAT, "x": 1}]}]}, "add_ons/0/prices/0"),
]


@pytest.mark.parametrize("price", TAKEN, ids=str)
def test_what_both_take(price: dict[str, Any]) -> None:
    body = plan({"slug": "a", **price})
    assert read_plan(body)[1] == []
    SCHEMA.validate(body)


@pytest.mark.parametrize(("price", "place"), REFUSED, ids=str)
def test_what_both_refuse_and_at_which_field(price: dict[str, Any], place: str) -> None:
    judged_alike(plan({"slug": "a", **price}), f"prices/0/{place}".strip("/"))


@pytest.mark.parametrize(("more", "place"), REFUSED_PLANS, ids=str)
def test_what_both_refuse_of_a_plan(more: dict[str, Any], place: str) -> None:
    judged_alike(plan(**more), place)


def test_a_slug_of_another_kind_is_refused_in_a_plan_of_several_currencies() -> None:
    body = plan({"slug": ["a"], **FLAT}, currencies={"EUR": {"a": {"amount": "1"}}})
    judged_alike(body, "prices/0/slug")


def test_parts_that_are_no_list_are_refused_in_a_plan_of_several_currencies() -> None:
    judged_alike(plan(add_ons=1, currencies={"EUR": {"base": {"amount": "1"}}}), "add_ons")


def judged_alike(body: dict[str, Any], place: str) -> None:
    """Both refuse it, and the schema with one error, at the field."""
    assert read_plan(body)[1]
    errors = list(SCHEMA.iter_errors(body))
    assert {"/".join(map(str, error.instance_path)) for error in errors} == {place}, errors


RELATIONS = (
    "can name",
    "billed in advance",
    "for each of",
    "same cell",
    "above",
    "last tier",
    "another part",
    "after from",
)
"""Said of what belongs together across a plan, which a schema cannot say."""
JUNK: list[Any] = [
    "0",
    "-1",
    "1",
    "101",
    "1.50",
    0,
    1,
    -1,
    1.5,
    True,
    "",
    [],
    {},
    "x",
    "seats",
    10**6,
]
REMOVED = object()
SPOILT = [REMOVED, *JUNK]


@settings(deadline=None, max_examples=300)
@given(random_plans(), st.data())
def test_both_judge_a_spoilt_plan_alike(body: dict[str, Any], data: st.DataObject) -> None:
    spoil(body, data.draw(st.sampled_from(list(places(body)))), data.draw(st.sampled_from(SPOILT)))
    errors = read_plan(body)[1]
    if not SCHEMA.is_valid(body):
        assert errors
    for error in errors if SCHEMA.is_valid(body) else ():
        # What overrides in another currency come to is known when they are put together.
        related = any(words in error.message for words in RELATIONS)
        assert related or error.path.startswith("currencies."), error


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything within a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for step, item in inner:
        yield (*path, step)
        if isinstance(item, dict | list):
            yield from places(item, (*path, step))


def spoil(body: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        body = body[step]
    if value is REMOVED:
        del body[path[-1]]
    else:
        body[path[-1]] = value


def test_an_error_in_a_file_names_the_field_and_not_the_models() -> None:
    price = {"slug": "a", **UNIT, "colour": "red"}
    file = {"plans": [{"slug": "p", **plan(price)}]}
    validator = jsonschema_rs.validator_for(json.loads(catalog_schema()))
    [error] = validator.iter_errors(file)
    assert list(error.instance_path) == ["plans", 0, "prices", 0]
    assert "'colour' was unexpected" in error.message
