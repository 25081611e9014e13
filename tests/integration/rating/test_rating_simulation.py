"""POST /v1/simulations: a draft over a past month, without touching anything."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.db import connect
from tests.integration.rating.world import (
    World,
    amounts,
    charges_of,
    fee,
    per_unit,
    put,
    refused,
)
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


@pytest.fixture
async def far_away(world: World) -> httpx.AsyncClient:
    """Tenants of three clocks: 10 requests in each of September, October and November."""
    world.now = NOVEMBER + timedelta(days=19)
    client = await world.start()
    await world.add_meter("requests")
    await world.plan(client, "standard", fee("10"), per_unit("requests", "1"))
    starts = OCTOBER - timedelta(days=17, hours=14)
    for tenant, zone in (("ben", "Europe/Berlin"), ("kim", "Asia/Tokyo"), ("una", "UTC")):
        await world.tenant(client, tenant, timezone=zone)
        await world.subscribe(client, tenant, "standard", starts)
        for day, used in ((-3, 10), (3, 20), (33, 40)):
            await world.use(tenant, "requests", {OCTOBER + timedelta(days=day): used})
        await eventually(lambda tenant=tenant: _has_used(client, tenant, 70), timeout=20)
    return client


async def _has_used(client: httpx.AsyncClient, tenant: str, used: int) -> bool:
    found = await charges_of(client, tenant)
    return sum(int(one["quantity"]) for one in found if one["price"] == "requests") == used


DAYS = {"from": "2026-10-01", "to": "2026-11-01"}


async def test_a_month_is_each_tenants_own(far_away: httpx.AsyncClient) -> None:
    found = await simulated(far_away, draft(fee("10"), per_unit("requests", "2")), **DAYS)
    assert {(one["tenant"], one["now"], one["then"]) for one in found["tenants"]} == {
        ("ben", "30", "50"),
        ("kim", "30", "50"),
        ("una", "30", "50"),
    }
    assert (found["from"], found["to"]) == ("2026-10-01", "2026-11-01")


async def test_what_was_cut_is_compared_whole(far_away: httpx.AsyncClient) -> None:
    """A pause, and a version for a few days, cut periods of the now that the draft merges."""
    client = far_away
    await put(client, "/v1/plans/standard", PLAN_OF_TWO)
    for change in (
        {"type": "plan", "at": "2026-10-10T00:00:00Z", "plan": "standard", "version": 2},
        {"type": "pause", "at": "2026-10-20T00:00:00Z"},
        {"type": "resume", "at": "2026-11-03T00:00:00Z"},
    ):
        [one] = (await client.get("/v1/subscriptions", params={"tenant": "una"})).json()["items"]
        answer = await client.post(f"/v1/subscriptions/{one['id']}/changes", json=change)
        assert answer.status_code == 201, answer.text
    found = await simulated(client, PLAN_OF_TWO, **DAYS, tenants=["una"])
    [una] = found["tenants"]
    # 9 of 31 days at 10, 10 at 2; 20 requests, all before the tenth, at 1.
    assert una["now"] == "23.55"
    # 19 of 31 days at 2; 20 requests at 3.
    assert una["then"] == "61.23"


async def test_a_draft_of_quarters_is_compared_for_the_same_month(
    far_away: httpx.AsyncClient,
) -> None:
    """31 of the quarter's 92 days of a fee of 30, and the month's usage."""
    quarter = draft(fee("30"), per_unit("requests", "1"), interval="quarter")
    found = await simulated(far_away, quarter, **DAYS, tenants=["una"])
    assert [(one["now"], one["then"]) for one in found["tenants"]] == [("30", "30.11")]


PLAN_OF_TWO = draft(fee("2"), per_unit("requests", "3"))


async def test_who_is_not_there_is_named(client: httpx.AsyncClient) -> None:
    body = {"replaces": "standard", "plan": draft(fee("1"))} | DAYS | {"tenants": ["acme", "acne"]}
    problem = refused(await client.post("/v1/simulations", json=body), 422, "unknown_reference")
    assert [one["path"] for one in problem["errors"]] == ["body.tenants.1"]
