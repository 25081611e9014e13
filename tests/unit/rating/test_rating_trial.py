"""A price over HTTP: what POST /v1/rate answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from common.service import create_app
from rating.routes import trials
from rating.settings import Settings

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
PERCENTAGE = {"model": "percentage", "rate": "0.013", "fixed_amount": "2"}
EVENTS = [{"amount": amount} for amount in ("50", "100", "250", "400")]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield

    return create_app(
        Settings(), title="t", description="t", lifespan=lifespan, routers=[trials.router]
    )


async def ask(app: FastAPI, body: dict[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/v1/rate", json={"currency": "USD", **body})


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
        ({"price": UNIT, "proration": {}}, "body.proration.service_from", "invalid_price"),
        ({"price": PERCENTAGE, "events": [{"amount": "-1"}]}, "body.events[0].amount", ""),
    ],
)
async def test_what_cannot_be_is_named(
    app: FastAPI, body: dict[str, Any], path: str, code: str
) -> None:
    answer = await ask(app, body)
    assert answer.status_code == 422, answer.text
    assert path in [error["path"] for error in answer.json()["errors"]]
    assert code in ("", answer.json()["code"])
