"""A price over HTTP: what POST /v1/rate answers."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from rating.routes import trials
from tests.support.routes import app_of, post

UNIT = {"model": "unit", "unit_amount": "10"}
GRADUATED = {
    "model": "graduated",
    "tiers": [
        {"up_to": "10", "unit_amount": "100"},
        {"up_to": "20", "unit_amount": "90"},
        {"up_to": None, "unit_amount": "80"},
    ],
}
MARCH = {
    "service_from": "2026-03-01T00:00:00Z",
    "service_to": "2026-04-01T00:00:00Z",
    "period_from": "2026-03-01T00:00:00Z",
    "period_to": "2026-04-01T00:00:00Z",
}
ROLLOVER = UNIT | {"included": "10", "rollover": {"cap": "5"}}
MONTHLY = {"model": "time_weighted", "unit_amount": "1", "per": "month"}
HOURLY = {"model": "time_weighted", "unit_amount": "1", "per": "hour"}
ADDED = {"amount": "2500", "time": "2026-03-05T00:00:00Z"}
MATRIX = {
    "model": "matrix",
    "dimensions": ["size", "spot"],
    "default": "1",
    "cells": [
        {"group": {"size": 4, "spot": True}, "unit_amount": "2"},
        {"group": {"size": "", "spot": "true"}, "unit_amount": "3"},
    ],
}
PERCENTAGE = {"model": "percentage", "rate": "0.013", "fixed_amount": "2"}
EVENTS = [{"amount": amount} for amount in ("50", "100", "250", "400")]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return app_of(trials.router)


async def ask(app: FastAPI, body: dict[str, Any]) -> httpx.Response:
    return await post(app, "/v1/rate", json={"currency": "USD", **body})


@pytest.mark.parametrize(
    ("body", "amount", "due"),
    [
        (
            {
                "price": UNIT | {"discount": {"percent": "50"}, "maximum": "100"},
                "quantity": "27",
                "invoiced": "35",
            },
            "100.00",
            "65.00",
        ),
        ({"price": GRADUATED, "quantity": "30", "invoiced": "1450"}, "2700.00", "1250.00"),
        (
            {"price": PERCENTAGE | {"free_events": "3", "free_amount": "250"}, "events": EVENTS},
            "11.15",
            "11.15",
        ),
        (
            {
                "price": {"model": "time_weighted", "unit_amount": "1", "per": "month"},
                "events": [{"amount": "2500", "time": "2026-03-05T00:00:00Z"}],
                "proration": MARCH,
            },
            "2177.42",
            "2177.42",
        ),
        (
            {
                "price": {"model": "flat", "amount": "100"},
                "proration": MARCH | {"service_to": "2026-03-16T00:00:00Z", "granularity": "day"},
            },
            "48.39",
            "48.39",
        ),
        ({"price": UNIT, "quantity": "1" + "0" * 18, "currency": "JPY"}, "1" + "0" * 19, None),
    ],
)
async def test_a_price_is_tried(
    app: FastAPI, body: dict[str, Any], amount: str, due: str | None
) -> None:
    answer = await ask(app, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["amount"] == amount
    assert due is None or answer.json()["due"] == due


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({}, "body.price", "invalid_price"),
        ({"price": UNIT, "currency": "XXY"}, "body.currency", "unknown_currency"),
        ({"price": UNIT, "quantity": "x"}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "other": 1}, "body.other", "invalid_price"),
        ({"price": UNIT | {"other": 1}}, "body.price.other", "invalid_price"),
        ({"price": {"model": "cubic"}}, "body.price.model", "unknown_model"),
        ({"price": UNIT, "proration": MARCH | {"time_zone": "x"}}, "body.proration.time_zone", ""),
        (
            {"price": UNIT, "proration": MARCH | {"time_zone": "localtime"}},
            "body.proration.time_zone",
            "",
        ),
        ({"price": UNIT, "proration": {}}, "body.proration.service_from", "invalid_price"),
        ({"price": PERCENTAGE, "events": [{"amount": "-1"}]}, "body.events[0].amount", ""),
        ({"price": UNIT, "currency": None}, "body.currency", "unknown_currency"),
        ({"price": UNIT, "currency": "usd"}, "body.currency", "unknown_currency"),
        ({"price": UNIT, "currency": "XAU"}, "body.currency", "unknown_currency"),
        ({"price": UNIT, "currency": "XXX"}, "body.currency", "unknown_currency"),
        ({"price": [UNIT]}, "body.price", "invalid_price"),
        ({"price": UNIT, "quantity": True}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "quantity": "NaN"}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "quantity": "Infinity"}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "quantity": "1e400"}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "quantity": {"a": [1]}}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "quantity": "9" * 101}, "body.quantity", "invalid_price"),
        ({"price": UNIT, "invoiced": "x"}, "body.invoiced", "invalid_price"),
        ({"price": UNIT, "invoiced": "0.0000001"}, "body.invoiced", "invalid_price"),
        ({"price": UNIT, "invoiced": "-1.005"}, "body.invoiced", "invalid_price"),
        ({"price": UNIT, "invoiced": "0.5", "currency": "JPY"}, "body.invoiced", "invalid_price"),
        ({"price": UNIT, "group": {"a": [1]}}, "body.group.a", "invalid_price"),
        ({"price": UNIT, "group": "eu"}, "body.group", "invalid_price"),
        ({"price": UNIT, "events": {}}, "body.events", "invalid_price"),
        ({"price": UNIT, "events": [1]}, "body.events[0]", "invalid_price"),
        ({"price": UNIT, "events": [{"amount": "1"}] * 10_001}, "body.events", "invalid_price"),
        ({"price": UNIT, "events": [{"amount": "1", "x": 1}]}, "body.events[0].x", ""),
        ({"price": UNIT, "rolled_over": "1"}, "body.rolled_over", "invalid_price"),
        ({"price": ROLLOVER, "rolled_over": "-1"}, "body.rolled_over", "invalid_price"),
        ({"price": MONTHLY, "quantity": "1"}, "body.proration", "invalid_price"),
        ({"price": MONTHLY, "events": [ADDED]}, "body.proration", "invalid_price"),
        (
            {"price": MONTHLY, "events": [{"amount": "1"}], "proration": MARCH},
            "body.events[0].time",
            "invalid_price",
        ),
        (
            {"price": UNIT, "proration": MARCH | {"service_from": "2026-02-01T00:00:00Z"}},
            "body.proration.service_from",
            "invalid_price",
        ),
        (
            {"price": UNIT, "proration": MARCH | {"granularity": "hour"}},
            "body.proration.granularity",
            "invalid_price",
        ),
        (
            {"price": UNIT, "proration": MARCH | {"service_to": "2026-03-05"}},
            "body.proration.service_to",
            "invalid_price",
        ),
        ({"price": UNIT, "proration": MARCH | {"x": 1}}, "body.proration.x", "invalid_price"),
    ],
)
async def test_what_cannot_be_is_named(
    app: FastAPI, body: dict[str, Any], path: str, code: str
) -> None:
    answer = await ask(app, body)
    assert answer.status_code == 422, answer.text
    assert path in [error["path"] for error in answer.json()["errors"]]
    assert code in ("", answer.json()["code"])


@pytest.mark.parametrize(
    ("body", "amount"),
    [
        # Events decide where the model is about amounts; elsewhere the quantity does.
        ({"price": {"model": "dynamic", "multiplier": "2"}, "events": EVENTS}, "1600.00"),
        (
            {"price": {"model": "dynamic", "multiplier": "2"}, "events": EVENTS, "quantity": "4"},
            "1600.00",
        ),
        ({"price": {"model": "dynamic", "multiplier": "2"}, "quantity": "4"}, "8.00"),
        ({"price": UNIT, "events": EVENTS}, "8000.00"),
        ({"price": UNIT, "events": EVENTS, "quantity": "4"}, "40.00"),
        ({"price": UNIT, "events": []}, "0.00"),
        # A quantity without events is one event.
        ({"price": PERCENTAGE, "quantity": "800"}, "12.40"),
        ({"price": PERCENTAGE, "quantity": "0"}, "0.00"),
        ({"price": PERCENTAGE, "quantity": "800", "events": EVENTS}, "18.40"),
        ({"price": PERCENTAGE, "events": [{"amount": "0"}]}, "2.00"),
        (
            {"price": PERCENTAGE | {"free_events": 0, "free_amount": "250"}, "events": EVENTS},
            "11.15",
        ),
        ({"price": PERCENTAGE | {"free_events": 3, "free_amount": "0"}, "events": EVENTS}, "7.20"),
        (
            {"price": PERCENTAGE | {"free_events": 0, "free_amount": None}, "events": EVENTS},
            "18.40",
        ),
        # Values of dimensions are compared as texts; what is missing is the empty text.
        ({"price": MATRIX, "quantity": "10", "group": {"size": "4", "spot": "true"}}, "20.00"),
        ({"price": MATRIX, "quantity": "10", "group": {"size": 4.0, "spot": True}}, "20.00"),
        ({"price": MATRIX, "quantity": "10", "group": {"size": 4, "spot": False}}, "10.00"),
        ({"price": MATRIX, "quantity": "10", "group": {"spot": True}}, "30.00"),
        ({"price": MATRIX, "quantity": "10", "group": {"size": None, "spot": True}}, "30.00"),
        ({"price": MATRIX, "quantity": "10"}, "10.00"),
        # A level is held from a change to the end of the service.
        ({"price": HOURLY, "quantity": "12.5"}, "12.50"),
        ({"price": HOURLY, "events": [ADDED], "proration": MARCH}, "1620000.00"),
        ({"price": MONTHLY, "quantity": "744", "proration": MARCH}, "1.00"),
        ({"price": MONTHLY, "proration": MARCH}, "0.00"),
        (
            {
                "price": MONTHLY,
                "events": [{"amount": "31", "time": "2026-02-11T00:00:00Z"}],
                "proration": MARCH
                | {"service_from": "2026-03-11T00:00:00Z", "service_to": "2026-03-21T00:00:00Z"},
            },
            "10.00",
        ),
        (
            {
                "price": MONTHLY,
                "events": [ADDED, {"amount": "-2500", "time": "2026-03-05T12:00:00Z"}],
                "proration": MARCH,
            },
            "40.32",
        ),
        (
            {
                "price": MONTHLY,
                "events": [{"amount": "1", "time": "2026-04-01T00:00:00Z"}],
                "proration": MARCH,
            },
            "0.00",
        ),
        # Left-over units, up to the cap.
        ({"price": ROLLOVER, "quantity": "20", "rolled_over": "3"}, "70.00"),
        ({"price": ROLLOVER, "quantity": "20", "rolled_over": "8"}, "50.00"),
        ({"price": ROLLOVER | {"rollover": True}, "quantity": "20", "rolled_over": "8"}, "20.00"),
        ({"price": ROLLOVER | {"rollover": False}, "quantity": "20"}, "100.00"),
        # null is as good as nothing.
        ({"price": UNIT | {"included": None, "minimum": None, "conversion": None}}, "0.00"),
        ({"price": UNIT, "quantity": "-5", "events": None, "group": None}, "0.00"),
        ({"price": UNIT, "quantity": "1" + "0" * 60}, "1" + "0" * 61 + ".00"),
    ],
)
async def test_what_is_left_open_has_the_usual_meaning(
    app: FastAPI, body: dict[str, Any], amount: str
) -> None:
    answer = await ask(app, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["amount"] == amount


@pytest.mark.parametrize(
    ("quantity", "rolled_over", "left"),
    [("20", "8", "0"), ("12", "8", "3"), ("4", "8", "5"), ("4", "0", "5"), ("9", "0", "1")],
)
async def test_what_is_left_for_the_next_period(
    app: FastAPI, quantity: str, rolled_over: str, left: str
) -> None:
    body = {"price": ROLLOVER, "quantity": quantity, "rolled_over": rolled_over}
    assert (await ask(app, body)).json()["left_over"] == left


async def test_only_a_price_with_rollover_leaves_something_over(app: FastAPI) -> None:
    assert "left_over" not in (await ask(app, {"price": UNIT})).json()


@pytest.mark.parametrize(
    ("currency", "invoiced", "due"),
    [
        ("USD", "5.000", "5.00"),
        ("USD", "0e-20", "10.00"),
        ("USD", "1e1", "0.00"),
        ("USD", "-0", "10.00"),
        ("USD", "35.000", "-25.00"),
        ("JPY", "3.0", "7"),
        ("KWD", "0.001", "9.999"),
        ("USD", "1" + "0" * 99 + ".50", "-" + "9" * 98 + "0.50"),
    ],
)
async def test_what_is_due_has_the_decimals_of_the_currency(
    app: FastAPI, currency: str, invoiced: str, due: str
) -> None:
    body = {"price": UNIT, "quantity": "1", "currency": currency, "invoiced": invoiced}
    assert (await ask(app, body)).json()["due"] == due


async def test_no_invoice_has_billed_a_part_of_a_minor_unit(app: FastAPI) -> None:
    said = [
        (await ask(app, {"price": UNIT, "currency": currency, "invoiced": "0.0005"})).json()
        for currency in ("USD", "JPY")
    ]
    assert [one["errors"][0]["message"] for one in said] == [
        "must be in whole minor units of USD: at most 2 decimals",
        "must be in whole minor units of JPY: no decimals",
    ]


async def test_lines_add_up_to_the_last_decimal_also_where_there_is_no_end(app: FastAPI) -> None:
    price = GRADUATED | {"conversion": {"divide": "7"}, "discount": {"percent": "33.3"}}
    said = (await ask(app, {"price": price, "quantity": "100"})).json()
    exact = sum(Decimal(line["amount"]) for line in said["lines"])
    assert exact == Decimal(said["amount"]) + Decimal(said["residual"])
    assert said["lines"][0]["quantity"] == "14.285714285714285714"


async def test_more_decimals_than_a_charge_keeps_are_shown(app: FastAPI) -> None:
    price = {"model": "unit", "unit_amount": "0.000000000000000001"}
    said = (await ask(app, {"price": price, "quantity": "0.5"})).json()
    assert (said["amount"], said["residual"]) == ("0.00", "0.0000000000000000005")


async def test_a_million_tiers_are_refused_at_once(app: FastAPI) -> None:
    tiers = [{"up_to": None}] * 60_000
    answer = await ask(app, {"price": {"model": "graduated", "tiers": tiers}})
    assert [error["path"] for error in answer.json()["errors"]] == ["body.price.tiers"]
    answer = await ask(app, {"price": {"model": "graduated", "tiers": tiers * 17}})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_at_most_a_hundred_errors_are_listed(app: FastAPI) -> None:
    answer = await ask(app, {"price": UNIT | {f"f{n}": 1 for n in range(10_000)}})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 100


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400"])
async def test_what_is_no_json_number_is_refused(app: FastAPI, text: str) -> None:
    answer = await post(
        app,
        "/v1/rate",
        content=f'{{"currency": "USD", "price": {{"model": "flat", "amount": {text}}}}}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_number")
