"""What POST /v1/rate says of a body that cannot be: each fault once, where it is, and why."""

from typing import Any

import pytest

from rating.trial import try_price

UNIT = {"model": "unit", "unit_amount": "10"}
FLAT = {"model": "flat", "amount": "10"}
HELD = {"model": "time_weighted", "unit_amount": "1", "per": "hour"}
MARCH = {
    "service_from": "2026-03-01T00:00:00Z",
    "service_to": "2026-04-01T00:00:00Z",
    "period_from": "2026-03-01T00:00:00Z",
    "period_to": "2026-04-01T00:00:00Z",
}
TOO_LONG = "has more than 20 digits before the point or 18 after it"
HAS_NO_UNITS = "changes a number of units; a price of model flat has none"


def refused(body: dict[str, Any]) -> list[tuple[str, str]]:
    _, errors = try_price({"currency": "USD", **body})
    return [(error.path, error.message) for error in errors]


def graduated(*ends: Any) -> dict[str, Any]:
    return {"model": "graduated", "tiers": [{"up_to": end} for end in ends]}


@pytest.mark.parametrize(
    ("currency", "said"),
    [
        (None, "is missing; it must be an ISO 4217 code, such as EUR"),
        ("", "'' is not an ISO 4217 currency"),
        ("US", "'US' is not an ISO 4217 currency"),
        ("USDD", "'USDD' is not an ISO 4217 currency"),
        (840, "840 is not an ISO 4217 currency"),
        (["USD"], "['USD'] is not an ISO 4217 currency"),
        ("X" * 1000, repr("X" * 1000)[:40] + " is not an ISO 4217 currency"),
    ],
)
def test_what_is_no_currency_is_an_unknown_currency(currency: Any, said: str) -> None:
    [error] = try_price({"currency": currency, "price": UNIT, "invoiced": "0.001"})[1]
    assert (error.path, error.message, error.code) == ("currency", said, "unknown_currency")


@pytest.mark.parametrize(
    ("price", "path", "said"),
    [
        ({}, "price.model", "is missing; known: flat, unit, "),
        ({"model": "unit"}, "price.unit_amount", "is missing"),
        ({"model": "volume"}, "price.tiers", "is missing; it must be a list of 1 to 100 objects"),
        (HELD | {"per": None}, "price.per", "is missing; it must be one of: hour, month"),
        (
            {"model": "matrix", "default": "1", "cells": []},
            "price.dimensions",
            "is missing; it must be a list of 1 to 10 different names",
        ),
        (
            {"model": "matrix", "default": "1", "dimensions": ["a"]},
            "price.cells",
            "is missing; it must be a list of 1 to 1000 objects",
        ),
    ],
)
def test_what_is_missing_is_called_missing(price: dict[str, Any], path: str, said: str) -> None:
    [message] = [message for where, message in refused({"price": price}) if where == path]
    assert message.startswith(said)


def test_a_time_that_is_missing_is_called_missing() -> None:
    said = refused({"price": FLAT, "proration": MARCH | {"service_to": None}})
    rule = 'it must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"'
    assert said == [("proration.service_to", f"is missing; {rule}")]


@pytest.mark.parametrize("number", ["9" * 401, "0." + "1" * 401, "1e99999", "-1e5000", "1" * 10**5])
def test_a_decimal_with_too_many_digits_is_a_decimal(number: str) -> None:
    assert refused({"price": UNIT | {"unit_amount": number}}) == [("price.unit_amount", TOO_LONG)]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"price": graduated("1e19", "1e20", None)}, [("price.tiers[1].up_to", TOO_LONG)]),
        ({"price": graduated("5", "1e20", "4", None)}, [("price.tiers[1].up_to", TOO_LONG)]),
        ({"price": graduated("5", "-1", None)}, [("price.tiers[1].up_to", "must be above 0")]),
        ({"price": graduated("5", "1e20")}, [("price.tiers[1].up_to", TOO_LONG)]),
        (
            {"price": UNIT | {"minimum": "1", "maximum": "-1"}},
            [("price.maximum", "must not be negative")],
        ),
        (
            {
                "price": {
                    "model": "percentage",
                    "rate": "1",
                    "min_per_event": "1",
                    "max_per_event": "-1",
                }
            },
            [("price.max_per_event", "must not be negative")],
        ),
        (
            {"price": UNIT | {"rollover": "yes"}, "rolled_over": "1"},
            [("price.rollover", "must be an object")],
        ),
        (
            {
                "price": HELD,
                "proration": "March",
                "events": [{"amount": "1", "time": "2026-03-01T00:00:00Z"}],
            },
            [("proration", "must be an object")],
        ),
        (
            {"price": FLAT, "proration": MARCH | {"time_zone": 5}},
            [("proration.time_zone", "must be a text of 1 to 200 characters")],
        ),
        (
            {"price": FLAT, "proration": MARCH | {"time_zone": "Mars/Olympus"}},
            [("proration.time_zone", "is not a time zone of the IANA database")],
        ),
        (
            {"price": FLAT | {"discount": {"quantity": "1"}}},
            [
                (
                    "price.discount.quantity",
                    "takes units off, and this model has none: use percent or amount",
                )
            ],
        ),
        ({"price": FLAT | {"included": "1"}}, [("price.included", HAS_NO_UNITS)]),
        ({"price": FLAT | {"conversion": {}}}, [("price.conversion", HAS_NO_UNITS)]),
        ({"price": UNIT, "invoiced": "x", "currency": "JPY"}, None),
    ],
)
def test_one_fault_is_one_error(body: dict[str, Any], faults: Any) -> None:
    said = refused(body)
    assert said == faults if faults is not None else len(said) == 1


def test_an_unknown_model_takes_whatever_usage_there_is() -> None:
    body = {"price": {"model": "martix"}, "rolled_over": "1", "groups": [{"quantity": "1"}]}
    assert [path for path, _ in refused(body)] == ["price.model"]


@pytest.mark.parametrize("price", [UNIT, FLAT, HELD, graduated(None)])
def test_null_is_the_same_as_leaving_a_field_out(price: dict[str, Any]) -> None:
    modifiers = ("conversion", "included", "rollover", "minimum_quantity", "discount", "maximum")
    of_models = ("amount", "unit_amount", "tiers", "rate", "cells", "per")
    nothing: dict[str, Any] = dict.fromkeys((*modifiers, *of_models))
    usage = dict.fromkeys(("quantity", "events", "group", "groups", "invoiced", "proration"))
    assert refused({"price": nothing | price, **usage}) == []
