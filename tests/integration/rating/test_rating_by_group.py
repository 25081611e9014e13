"""A plan with a matrix, from usage by group to charges, their explanation and their re-rating."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.rating.world import World, amounts, charges_of, refused
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
IN_OCTOBER = "traffic 2026-10-01T00:00"


def matrix(us: str, **more: Any) -> dict[str, Any]:
    return {
        "slug": "traffic",
        "meter": "bytes",
        "model": "matrix",
        "dimensions": ["region"],
        "default": "1",
        "cells": [
            {"group": {"region": "us"}, "unit_amount": us},
            {"group": {"region": "eu"}, "unit_amount": "2"},
        ],
    } | more


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """acme used 7 in eu, in two zones and two shards, 10 in us and 6 on mars, in October."""
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await world.add_meter("bytes", group_by={"region": "region", "zone": "zone"})
    await world.plan(client, "standard", matrix("3", included="4"))
    await world.tenant(client, "acme")
    await world.subscribe(client, "acme", "standard", OCTOBER)
    noon = OCTOBER + timedelta(days=3, hours=12)
    for region, zone, amount, shard in (
        ("eu", "a", 4, 0),
        ("eu", "b", 3, 1),
        ("us", "a", 10, 0),
        ("mars", "", 6, 2),
    ):
        group = {"region": region, "zone": zone}
        await world.use("acme", "bytes", {noon: amount}, group=group, shard=shard)
    await _charged(client, "38")
    return client


async def _charged(client: httpx.AsyncClient, amount: str) -> None:
    async def rated() -> bool:
        assert (await amounts(client, "acme")).get(IN_OCTOBER) == amount
        return True

    await eventually(rated, timeout=20)


async def test_each_cell_is_priced_and_explained(client: httpx.AsyncClient) -> None:
    [charge] = [one for one in await charges_of(client, "acme") if one["from"] < "2026-11"]
    assert charge["quantity"] == "23"
    assert charge["evidence"]["cells"] == [
        {"group": {"region": "us"}, "quantity": "10"},
        {"group": {"region": "eu"}, "quantity": "7"},
        {"group": {"region": "mars"}, "quantity": "6"},
    ]
    found = (await client.get(f"/v1/charges/{charge['id']}/explain")).json()
    assert [step["text"] for step in found["steps"]] == [
        "region us: Included: max(10 - 4, 0) = 6",
        "region us: 6 × 3 = 18",
        "region eu: 7 × 2 = 14",
        "region mars (default): 6 × 1 = 6",
        "18 + 14 + 6 = 38",
        "USD: 38, rounded half away from zero to 2 decimals = 38.00",
    ]
    assert (found["recomputes"], found["exact"]) == (True, "38")
    assert found["usage"]["is_current"]
    assert {row["group"]["region"] for row in found["usage"]["rows"]} == {"eu", "us", "mars"}


async def test_late_usage_of_a_group_changes_its_cell(
    client: httpx.AsyncClient, world: World
) -> None:
    late = {OCTOBER + timedelta(days=5): 100}
    await world.use("acme", "bytes", late, group={"region": "eu", "zone": "a"})
    await _charged(client, "238")


async def test_a_draft_and_a_re_rating_price_the_same_groups(
    client: httpx.AsyncClient, world: World
) -> None:
    span = {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
    draft = {"name": "Draft", "currency": "USD", "prices": [matrix("4", included="4")]}
    told = await client.post("/v1/simulations", json=span | {"replaces": "standard", "plan": draft})
    assert told.status_code == 200, told.text
    [outcome] = told.json()["tenants"]
    assert (outcome["now"], outcome["then"]) == ("38", "44")

    await world.plan(client, "standard", matrix("4", included="4"))
    body = span | {"reason": "a", "by": "ann", "plan": {"slug": "standard", "version": 2}}
    made = (await client.post("/v1/rerates", json=body)).json()
    [line] = (await client.get(f"/v1/rerates/{made['id']}/lines")).json()["items"]
    assert (line["before"]["amount"], line["after"]["amount"]) == ("38", "44")
    answer = await client.post(f"/v1/rerates/{made['id']}/approve", json={"by": "bob"})
    assert answer.status_code == 200, answer.text
    await _charged(client, "44")


async def test_a_meter_without_a_dimension_of_the_price(client: httpx.AsyncClient) -> None:
    price = matrix("3", dimensions=["region", "tier"])
    price["cells"] = [{"group": {"region": "eu", "tier": "hot"}, "unit_amount": "1"}]
    body = {"name": "Bad", "currency": "USD", "prices": [price]}
    problem = refused(await client.put("/v1/plans/bad", json=body), 422, "unfit_meter")
    assert problem["errors"] == [
        {
            "path": "body.prices[0].dimensions",
            "message": "bytes is not grouped by tier; its dimensions: region, zone",
        }
    ]
    catalog = {"plans": [{"slug": "bad", **body}]}
    problem = refused(await client.post("/v1/catalog", json=catalog), 422, "unfit_meter")
    assert problem["errors"][0]["path"] == "body.plans[0].prices[0].dimensions"
    refused(await client.get("/v1/plans/bad"), 404, "unknown_plan")


async def test_a_meter_that_is_about_to_be_is_what_the_catalog_tells(
    client: httpx.AsyncClient,
) -> None:
    body = {"plans": [{"slug": "p", "name": "P", "currency": "USD", "prices": [matrix("3")]}]}
    for told, status in (
        ({"aggregation": "sum", "group_by": {"region": "region"}, "unit": "B"}, 200),
        ("B", 200),
        ({"aggregation": "sum", "group_by": {"zone": "zone"}}, 422),
        ({"aggregation": "max", "group_by": {"region": "region"}}, 422),
    ):
        asked = body | {"meters": {"bytes": told}}
        answer = await client.post("/v1/catalog", params={"dry_run": True}, json=asked)
        assert answer.status_code == status, answer.text


async def test_an_override_looks_at_nothing_that_the_meter_lacks(
    client: httpx.AsyncClient,
) -> None:
    [one] = (await client.get("/v1/subscriptions", params={"tenant": "acme"})).json()["items"]
    cells = [{"group": {"tier": "hot"}, "unit_amount": "1"}]
    fields = {"dimensions": ["tier"], "cells": cells}
    change = {"type": "override", "price": "traffic", "fields": fields}
    answer = await client.post(f"/v1/subscriptions/{one['id']}/changes", json=change)
    problem = refused(answer, 422, "unfit_meter")
    assert problem["errors"][0]["path"] == "body.fields.dimensions"
