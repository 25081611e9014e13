"""POST /v1/simulations: a draft over a past month, without touching anything."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.db import connect
from tests.integration.rating.world import World, amounts, fee, per_unit, refused
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


def draft(*prices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "Draft", "currency": "USD", "prices": list(prices)} | more


async def simulated(client: httpx.AsyncClient, plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {
        "replaces": "standard",
        "plan": plan,
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-11-01T00:00:00Z",
    } | more
    answer = await client.post("/v1/simulations", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """In October, acme used 1,000 requests and brill 10, at 10 and 0.01 a request."""
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await world.add_meter("requests")
    await world.plan(client, "standard", fee("10"), per_unit("requests", "0.01"))
    for tenant, used in (("acme", 1000), ("brill", 10)):
        await world.tenant(client, tenant)
        await world.subscribe(client, tenant, "standard", OCTOBER)
        await world.use(tenant, "requests", {OCTOBER + timedelta(days=3): used})

    async def rated() -> bool:
        used = [await amounts(client, tenant) for tenant in ("acme", "brill")]
        return [one.get("requests 2026-10-01T00:00") for one in used] == ["10", "0.1"]

    await eventually(rated, timeout=20)
    return client


async def test_who_would_have_paid_what(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rating.routes"):
        found = await simulated(client, draft(per_unit("requests", "0.03")))

    assert [one.getMessage() for one in caplog.records if one.name.endswith("simulations")] == [
        "simulation of a draft of standard, 2026-10-01T00:00:00+00:00 to "
        "2026-11-01T00:00:00+00:00: 2 tenants, 0 subscriptions left out"
    ]
    assert [(one["tenant"], one["now"], one["then"]) for one in found["tenants"]] == [
        ("acme", "20", "30"),
        ("brill", "10.1", "0.3"),
    ]
    [totals] = found["totals"]
    assert (totals["now"], totals["then"], totals["difference"]) == ("30.1", "30.3", "0.2")
    assert (totals["winners"], totals["losers"]) == (1, 1)
    assert found["chart"].startswith("<svg")
    only = await simulated(client, draft(per_unit("requests", "0.03")), tenants=["brill"])
    assert [one["tenant"] for one in only["tenants"]] == ["brill"]


async def test_the_same_plan_changes_nothing(client: httpx.AsyncClient) -> None:
    found = await simulated(client, draft(fee("10"), per_unit("requests", "0.01")))
    assert {one["difference"] for one in found["tenants"]} == {"0"}


async def test_it_touches_nothing(client: httpx.AsyncClient, world: World) -> None:
    async def everything() -> dict[str, str]:
        connection = await connect(world.database.owner_url)
        try:
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'rating' ORDER BY 1"
            )
            moving = {"partition_progress", "workers", "emissions", "outboxes"}
            return {
                name: await connection.fetchval(
                    f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
                    f" FROM rating.{name} t"
                )
                for (name,) in tables
                if name not in moving
            }
        finally:
            await connection.close()

    before = await everything()
    await simulated(client, draft(per_unit("requests", "5")))
    assert await everything() == before


async def test_a_tenant_that_the_draft_is_not_sold_to_is_named(
    client: httpx.AsyncClient,
) -> None:
    found = await simulated(client, draft(per_unit("requests", "1"), currency="EUR"))
    assert found["tenants"] == []
    assert {one["tenant"] for one in found["skipped"]} == {"acme", "brill"}
    assert "USD" in found["skipped"][0]["reason"]


async def test_what_cannot_be_simulated(client: httpx.AsyncClient) -> None:
    good = {
        "replaces": "standard",
        "plan": draft(fee("1")),
        "from": "2026-10-01T00:00:00Z",
        "to": "2026-11-01T00:00:00Z",
    }
    for changes, status, code in (
        ({"to": "2026-12-01T00:00:00Z"}, 422, "invalid_request"),
        ({"to": "2026-10-01T00:00:00Z"}, 422, "invalid_request"),
        ({"replaces": "other"}, 404, "unknown_plan"),
        ({"plan": draft(per_unit("nothing", "1"))}, 503, "meters_unavailable"),
        ({"plan": draft(fee("-1"))}, 422, "invalid_price"),
        ({"more": 1}, 422, "invalid_request"),
    ):
        refused(await client.post("/v1/simulations", json=good | changes), status, code)
    problem = refused(
        await client.post("/v1/simulations", json=good | {"plan": draft(fee("x"))}),
        422,
        "invalid_price",
    )
    assert problem["errors"][0]["path"].startswith("body.plan.prices[0]")
