"""What cannot be gets a coded answer and changes nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, HTTPException

from common.bus.kafka import KafkaBus
from tests.integration.rating.world import PLAN, TENANT, World, fee, per_unit, put, refused
from tests.support.databases import Database
from tests.support.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def aggregator() -> FastAPI:
    """Knows one meter, and breaks when asked for another."""
    app = FastAPI()

    @app.get("/v1/meters/{slug}")
    async def meter(slug: str) -> dict[str, str]:
        if slug == "broken":
            raise HTTPException(500)
        if slug != "bytes":
            raise HTTPException(404)
        return {"slug": "bytes", "event_type": "t", "aggregation": "sum", "unit": "byte"}

    return app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(
    kafka: str, module_topics: str, database: Callable[[str], Database]
) -> AsyncIterator[httpx.AsyncClient]:
    """Rating's API with a tenant `acme`, who will be on the plan `taken` in December."""
    async with AsyncExitStack() as stack:
        bus = KafkaBus(kafka, prefix=module_topics)
        await bus.start()
        stack.push_async_callback(bus.stop)
        world = World(stack, bus, kafka, module_topics, database("rating"), NOW)
        url = await stack.enter_async_context(serving(aggregator()))
        client = await world.start(worker=False, aggregator_url=url)
        await put(client, "/v1/tenants/acme", TENANT)
        for slug in ("flat", "taken"):
            await put(client, f"/v1/plans/{slug}", PLAN)
        await put(client, "/v1/plans/euro", PLAN | {"currency": "EUR"})
        await world.subscribe(client, "acme", "taken", datetime(2026, 12, 1, tzinfo=UTC))
        yield client


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "invalid_request"),
        ({"name": ""}, "invalid_request"),
        ({"currency": "usd"}, "unknown_currency"),
        ({"currency": "XAU"}, "unknown_currency"),
        ({"currency": "LONG"}, "invalid_request"),
        ({"timezone": "Mars/Olympus"}, "unknown_timezone"),
        ({"timezone": "../../etc/passwd"}, "unknown_timezone"),
        ({"timezone": "America"}, "unknown_timezone"),
        ({"timezone": "localtime"}, "unknown_timezone"),
        ({"timezone": "posixrules"}, "unknown_timezone"),
        ({"billing_day": 0}, "invalid_request"),
        ({"billing_day": 32}, "invalid_request"),
        ({"billing_day": "5"}, "invalid_request"),
        ({"billing_day": True}, "invalid_request"),
        ({"billing_day": 10**300}, "invalid_request"),
        ({"email": "nobody"}, "invalid_request"),
        ({"address": [1]}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
    ],
)
async def test_a_bad_tenant_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], code: str
) -> None:
    refused(await client.put("/v1/tenants/bad", json=TENANT | change), 422, code)
    refused(await client.get("/v1/tenants/bad"), 404, "unknown_tenant")


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"prices": [fee("1,5")]}, "invalid_price", "body.prices[0].amount"),
        ({"prices": [fee("49") | {"model": "cubic"}]}, "unknown_model", "body.prices[0].model"),
        ({"prices": [per_unit("nothing", "1")]}, "unknown_meter", "body.prices[0].meter"),
        ({"prices": [per_unit("..", "1", slug="x")]}, "unknown_meter", "body.prices[0].meter"),
        ({"prices": [per_unit("a/b?c", "1", slug="x")]}, "unknown_meter", None),
        ({"prices": [per_unit("requests", "-1")]}, "invalid_price", "body.prices[0].unit_amount"),
        ({"prices": [fee("1"), fee("2")]}, "invalid_price", "body.prices[1].slug"),
        ({"prices": [fee("1", slug="A b")]}, "invalid_price", "body.prices[0].slug"),
        ({"prices": [fee("1") | {"meter": "requests"}]}, "invalid_price", "body.prices[0].meter"),
        ({"prices": [per_unit("x", "1") | {"meter": None}]}, "invalid_price", None),
        ({"prices": [per_unit("x", "1") | {"meter": 5}]}, "invalid_price", None),
        ({"prices": []}, "invalid_price", "body.prices"),
        ({"prices": "all"}, "invalid_price", "body.prices"),
        ({"currency": "EURO"}, "unknown_currency", "body.currency"),
        ({"currency": "ZZZ"}, "unknown_currency", "body.currency"),
        ({"interval": "fortnight"}, "invalid_price", "body.interval"),
        ({"name": 5}, "invalid_price", "body.name"),
        ({"extra": 1}, "invalid_price", "body.extra"),
    ],
)
async def test_a_bad_plan_is_refused_with_the_path_of_the_field(
    client: httpx.AsyncClient, change: dict[str, Any], code: str, path: str | None
) -> None:
    problem = refused(await client.put("/v1/plans/bad", json=PLAN | change), 422, code)
    if path is not None:
        assert path in [error["path"] for error in problem["errors"]]
    refused(await client.get("/v1/plans/bad"), 404, "unknown_plan")


async def test_a_meter_that_nobody_can_tell_of_is_a_503(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/plans/bad", json=PLAN | {"prices": [per_unit("broken", "1")]})
    refused(answer, 503, "meters_unavailable")
    assert "retry-after" in answer.headers


async def test_all_that_is_wrong_with_all_plans_is_told_at_once(client: httpx.AsyncClient) -> None:
    matrix = {"slug": "m", "meter": "bytes", "model": "matrix", "dimensions": ["region"]}
    cells = [{"group": {"region": "eu"}, "unit_amount": "2"}]
    plans = [
        PLAN | {"slug": "a", "prices": [fee("-1"), per_unit("nothing", "1")]},
        PLAN | {"slug": "b", "add_ons": [{"slug": "x", "prices": [per_unit("nothing", "1")]}]},
        PLAN
        | {"slug": "c", "prices": [{**matrix, "default": "1", "cells": cells}], "colour": "red"},
    ]
    answer = await client.post("/v1/catalog", json={"plans": plans})
    problem = refused(answer, 422, "invalid_price")
    assert [one["path"].removeprefix("body.plans") for one in problem["errors"]] == [
        "[0].prices[0].amount",
        "[0].prices[1].meter",
        "[1].add_ons[0].prices[0].meter",
        "[2].colour",
        "[2].prices[0].dimensions",
    ]
    answer = await client.put("/v1/plans/a", json=PLAN | {"prices": plans[0]["prices"]})
    paths = [one["path"] for one in refused(answer, 422, "invalid_price")["errors"]]
    assert paths == ["body.prices[0].amount", "body.prices[1].meter"]


async def test_faults_are_told_though_a_meter_cannot_be_asked_for(
    client: httpx.AsyncClient,
) -> None:
    body = PLAN | {"prices": [fee("-1"), per_unit("broken", "1")]}
    refused(await client.put("/v1/plans/a", json=body), 422, "invalid_price")
    answer = await client.post("/v1/catalog", json={"plans": [{"slug": "a", **body}]})
    refused(answer, 422, "invalid_price")


async def test_an_aggregator_that_is_away_is_a_503_too(
    kafka: str, module_topics: str, database: Callable[[str], Database]
) -> None:
    async with AsyncExitStack() as stack:
        bus = KafkaBus(kafka, prefix=module_topics)
        world = World(stack, bus, kafka, module_topics, database("rating"), NOW)
        alone = await world.start(worker=False, aggregator_url="http://127.0.0.1:9")
        answer = await alone.put("/v1/plans/bad", json=PLAN | {"prices": [per_unit("x", "1")]})
        refused(answer, 503, "meters_unavailable")


async def test_a_meter_is_asked_for_while_its_topic_has_not_told_it(
    client: httpx.AsyncClient,
) -> None:
    made = await put(client, "/v1/plans/asked", PLAN | {"prices": [per_unit("bytes", "1")]})
    assert made["version"] == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"tenant": "nobody"}, 422, "unknown_reference"),
        ({"plan": "nothing"}, 422, "unknown_reference"),
        ({"version": 7}, 422, "unknown_reference"),
        ({"version": 0}, 422, "invalid_request"),
        ({"version": 10**30}, 422, "invalid_request"),
        ({"version": "1"}, 422, "invalid_request"),
        ({"start": "yesterday"}, 422, "invalid_request"),
        ({"start": 1700000000}, 422, "invalid_request"),
        ({"start": "2026-11-01T00:00:00"}, 422, "invalid_request"),
        ({"start": "1970-01-01T00:00:00Z"}, 422, "invalid_request"),
        ({"start": "0001-01-01T00:00:00+23:00"}, 422, "invalid_request"),
        ({"start": "9999-12-31T23:59:59-23:00"}, 422, "invalid_request"),
        ({"end": "2026-11-01T00:00:05Z"}, 422, "invalid_request"),
        ({"end": "2026-10-01T00:00:00Z"}, 422, "invalid_request"),
        ({"plan": "euro"}, 422, "currency_mismatch"),
        ({"plan": "taken"}, 409, "overlapping_subscription"),
        ({"seats": 5}, 422, "invalid_request"),
    ],
)
async def test_a_bad_subscription_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, code: str
) -> None:
    body = {"tenant": "acme", "plan": "flat", "start": "2026-11-01T00:00:00Z"} | change
    headers = {"Idempotency-Key": "bad"}
    refused(await client.post("/v1/subscriptions", json=body, headers=headers), status, code)
    listed = (await client.get("/v1/subscriptions", params={"tenant": "acme"})).json()["items"]
    assert [item["plan"] for item in listed] == ["taken"]


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2026-10-20T00:00:00Z", "cut_outside_period"),
        ("2026-11-01T00:00:00Z", "cut_outside_period"),
        ("2026-11-20T14:00:00Z", "cut_outside_period"),
        ("2199-01-01T00:00:00Z", "invalid_request"),
        ("soon", "invalid_request"),
        (None, None),
    ],
)
async def test_bill_now_splits_only_the_running_period(
    client: httpx.AsyncClient, at: str | None, code: str | None
) -> None:
    key = f"bill-now-{at}"
    await put(client, f"/v1/tenants/{key}", TENANT | {"timezone": "UTC", "billing_day": 1})
    body = {"tenant": key, "plan": "flat", "start": "2026-11-01T00:00:00Z"}
    subscription = (await client.post("/v1/subscriptions", json=body)).json()["id"]
    answer = await client.post(f"/v1/subscriptions/{subscription}/bill-now", json={"at": at})
    if code is not None:
        refused(answer, 422, code)
    else:
        assert answer.json()["at"] == "2026-11-20T12:00:00Z"
        assert answer.json()["cuts"] == ["2026-11-20T12:00:00Z"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/tenants/none", 404, "unknown_tenant"),
        ("GET", "/v1/plans/none", 404, "unknown_plan"),
        ("GET", "/v1/plans/NONE", 422, "invalid_request"),
        ("GET", "/v1/subscriptions/none", 404, "unknown_subscription"),
        ("POST", "/v1/subscriptions/none/end", 404, "unknown_subscription"),
        ("POST", "/v1/subscriptions/none/bill-now", 404, "unknown_subscription"),
        ("GET", "/v1/charges/none", 404, "unknown_charge"),
        ("GET", "/v1/charges?from=never", 422, "invalid_request"),
        (
            "GET",
            "/v1/charges?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            422,
            "invalid_request",
        ),
        ("GET", "/v1/charges?cursor=abc", 400, "invalid_cursor"),
        ("GET", "/v1/tenants?cursor=WyJwbGFucyIsImEiXQ", 400, "invalid_cursor"),
        ("GET", "/v1/tenants?limit=0", 422, "invalid_request"),
        ("GET", "/v1/tenants/a%00b", 400, "invalid_text"),
        ("DELETE", "/v1/plans/flat", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "not_found"),
    ],
)
async def test_an_address_that_leads_nowhere(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    refused(await client.request(method, path), status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b'{"name": NaN}', 400, "invalid_number"),
        (b'{"name": "a", "name": "b"}', 400, "duplicate_key"),
        (b'{"name": "a\\u0000b"}', 400, "invalid_text"),
        (b'{"name": "\\ud800"}', 400, "invalid_text"),
        (b"\xff", 400, "invalid_text"),
        (b"[" * 100 + b"]" * 100, 400, "too_deep"),
        (b"[]", 422, "invalid_request"),
        (b"1e400", 400, "invalid_number"),
        (b'{"name": 1e400, "currency": -0.0, "prices": 1e400}', 400, "invalid_number"),
        (b'"' + b"x" * 2**20 + b'"', 413, "body_too_large"),
    ],
)
async def test_a_body_that_is_no_plan(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await client.put(
        "/v1/plans/bad", content=body, headers={"Content-Type": "application/json"}
    )
    refused(answer, status, code)
