"""POST /v1/rerates: a price was wrong in October; what putting it right changes is seen first."""

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from common.contracts.topics import ROLLUPS
from tests.integration.rating.world import (
    World,
    amounts,
    charges_of,
    fee,
    per_unit,
    refused,
)
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
RERATE: dict[str, Any] = {
    "from": "2026-10-01T00:00:00Z",
    "to": "2026-11-01T00:00:00Z",
    "reason": "the price was mistyped",
    "by": "ann",
    "plan": {"slug": "standard", "version": 2},
}


async def preview(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/v1/rerates", json=RERATE | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def lines(client: httpx.AsyncClient, id: str, **params: Any) -> list[tuple[Any, ...]]:
    found = []
    while True:
        page = (await client.get(f"/v1/rerates/{id}/lines", params=params)).json()
        found += [
            (
                line["tenant"],
                line["after"]["price"],
                line["after"]["from"][:10],
                line["before"] and line["before"]["amount"],
                line["after"]["amount"],
            )
            for line in page["items"]
        ]
        if page["next"] is None:
            return found
        params["cursor"] = page["next"]


async def approve(client: httpx.AsyncClient, id: str) -> httpx.Response:
    return await client.post(f"/v1/rerates/{id}/approve", json={"by": "bob"})


async def history(client: httpx.AsyncClient, tenant: str) -> list[dict[str, Any]]:
    [one] = (await client.get("/v1/subscriptions", params={"tenant": tenant})).json()["items"]
    answer = await client.get(f"/v1/subscriptions/{one['id']}/history")
    facts: list[dict[str, Any]] = answer.json()["items"]
    return facts


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """acme and brill used 1,000 and 10 requests in October, and brill 10 in November. They were
    charged 0.1 each by version 1; version 2 says 0.01. October is closed."""
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await world.add_meter("requests")
    await world.plan(client, "standard", fee("10"), per_unit("requests", "0.1"))
    for tenant, used in (("acme", 1000), ("brill", 10)):
        await world.tenant(client, tenant)
        await world.subscribe(client, tenant, "standard", OCTOBER)
        await world.use(tenant, "requests", {OCTOBER + timedelta(days=3): used})
    await world.use("brill", "requests", {NOVEMBER + timedelta(hours=1): 10})
    await world.seal(NOVEMBER + timedelta(hours=12))

    async def rated() -> bool:
        items = (await client.get("/v1/charges")).json()["items"]
        closed = [one for one in items if one["to"] <= "2026-11-01T00:00:00Z"]
        return {one["amount"] for one in closed} == {"100", "1", "10"} and all(
            one["closed"] for one in closed
        )

    await eventually(rated, timeout=20)
    await world.plan(client, "standard", fee("10"), per_unit("requests", "0.01"))
    return client


async def test_previewed_approved_applied_once(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    made = await preview(client)
    assert made["state"] == "preview"
    assert made["summary"]["totals"] == {
        "USD": {"difference": "-90.9", "up": "0", "down": "-90.9", "charges": 2, "tenants": 2}
    }
    assert await lines(client, made["id"], limit=1) == [
        ("acme", "requests", "2026-10-01", "100", "10"),
        ("brill", "requests", "2026-10-01", "1", "0.1"),
    ]
    assert await lines(client, made["id"], tenant="brill") == [
        ("brill", "requests", "2026-10-01", "1", "0.1")
    ]
    assert len(await history(client, "acme")) == 1

    with caplog.at_level(logging.INFO, "rating.routes"):
        answers = await asyncio.gather(*(approve(client, made["id"]) for _ in range(3)))

    assert [one.getMessage() for one in caplog.records if one.name == "rating.routes.rerates"] == [
        f"re-rating {made['id']} of ann applied by bob: 2 charges of 2 tenants change "
        "(the price was mistyped)"
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {(a.json()["state"], a.json()["decided_by"]) for a in answers} == {("applied", "bob")}
    facts = await history(client, "acme")
    assert [(fact["type"], fact["at"][:10]) for fact in facts] == [
        ("start", "2026-10-01"),
        ("plan", "2026-10-01"),
        ("plan", "2026-11-01"),
    ]
    assert facts[1]["reason"] == f"re-rating {made['id']}: the price was mistyped"

    async def corrected() -> bool:
        found = await amounts(client, "brill")
        return (found["requests 2026-10-01T00:00"], found["requests 2026-11-01T00:00"]) == (
            "0.1",
            "1",
        )

    await eventually(corrected, timeout=20)
    assert (await approve(client, made["id"])).json()["decided_by"] == "bob"
    assert len(await history(client, "acme")) == 3
    nothing = await preview(client)
    assert nothing["summary"] == {"totals": {}, "charges": 0, "subscriptions": 0}


async def test_what_has_changed_since_the_preview_is_not_applied(
    client: httpx.AsyncClient, world: World
) -> None:
    made = await preview(client, tenants=["acme"])
    await world.use("acme", "requests", {OCTOBER + timedelta(days=4): 500})

    async def rated() -> bool:
        return (await amounts(client, "acme"))["requests 2026-10-01T00:00"] == "150"

    await eventually(rated, timeout=20)

    refused(await approve(client, made["id"]), 409, "rerate_stale")
    assert len(await history(client, "acme")) == 1
    again = await preview(client, tenants=["acme"])
    assert await lines(client, again["id"]) == [("acme", "requests", "2026-10-01", "150", "15")]
    assert (await approve(client, again["id"])).status_code == 200


async def test_usage_of_a_running_period_does_not_make_it_stale(
    client: httpx.AsyncClient, world: World
) -> None:
    made = await preview(client, to="2026-11-02T00:00:00Z", tenants=["brill"])
    assert ("brill", "requests", "2026-11-01", "1", "0.1") in await lines(client, made["id"])
    await world.use("brill", "requests", {NOVEMBER + timedelta(hours=2): 10})

    assert (await approve(client, made["id"])).status_code == 200


def metered(rate: str, unit_amount: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A share of each payment and 0.5 for it; and volumes for as long as they are held."""
    payments = {"model": "percentage", "rate": rate, "fixed_amount": "0.5"}
    volumes = {"model": "time_weighted", "unit_amount": unit_amount, "per": "month"}
    return (
        {"slug": "payments", "meter": "paid"} | payments,
        {"slug": "volumes", "meter": "stored"} | volumes,
    )


async def october(client: httpx.AsyncClient, world: World) -> None:
    """In October, acme paid 100 and 50, and held 100 from its middle on. Version 1 charges ten
    times too much; October is closed."""
    await world.add_meter("paid")
    await world.add_meter("stored", unit="GB", aggregation="latest")
    await world.plan(client, "standard", *metered("0.2", "10"))
    await world.tenant(client, "acme")
    await world.subscribe(client, "acme", "standard", OCTOBER)
    await paid(world, 100)
    await world.report("acme", "stored", {OCTOBER + timedelta(days=15.5): 100})
    await world.seal(NOVEMBER + timedelta(hours=12))
    await charged(client, "31", "500")


async def paid(world: World, first: int) -> None:
    """The hour of the two payments, as the meter has it by now."""
    day = OCTOBER + timedelta(days=2)
    await world.use("acme", "paid", {day: first, day + timedelta(minutes=1): 50})


async def charged(
    client: httpx.AsyncClient, payments: str, volumes: str, *, version: int = 1
) -> None:
    """Wait for the charges of October."""

    async def rated() -> bool:
        found = [one for one in await charges_of(client, "acme") if one["from"] < "2026-11"]
        assert [
            (one["price"], one["amount"], one["plan_version"], one["closed"]) for one in found
        ] == [("payments", payments, version, True), ("volumes", volumes, version, True)]
        return True

    await eventually(rated, timeout=20)


async def test_a_late_level_and_a_corrected_event_of_an_invoiced_period(world: World) -> None:
    world.now = NOVEMBER + timedelta(days=1)
    client = await world.start()
    await october(client, world)
    await world.plan(client, "standard", *metered("0.02", "1"))
    first = await preview(client)
    assert await lines(client, first["id"]) == [
        ("acme", "payments", "2026-10-01", "31", "4"),
        ("acme", "volumes", "2026-10-01", "500", "50"),
    ]

    await world.report("acme", "stored", {OCTOBER: 20})
    await charged(client, "31", "600")
    refused(await approve(client, first["id"]), 409, "rerate_stale")
    second = await preview(client)
    await paid(world, 40)
    await charged(client, "19", "600")
    refused(await approve(client, second["id"]), 409, "rerate_stale")

    third = await preview(client)
    assert await lines(client, third["id"]) == [
        ("acme", "payments", "2026-10-01", "19", "2.8"),
        ("acme", "volumes", "2026-10-01", "600", "60"),
    ]
    [totals] = third["summary"]["totals"].values()
    assert (totals["difference"], totals["charges"]) == ("-556.2", 2)
    answers = await asyncio.gather(*(approve(client, third["id"]) for _ in range(3)))
    assert {answer.json()["state"] for answer in answers} == {"applied"}
    await charged(client, "2.8", "60", version=2)
    facts = await history(client, "acme")
    assert [(fact["type"], fact["at"][:10]) for fact in facts] == [
        ("start", "2026-10-01"),
        ("plan", "2026-10-01"),
        ("plan", "2026-11-01"),
    ]
    assert (await preview(client))["summary"]["charges"] == 0


def ratings() -> float:
    """How often a partition's subscriptions were rated in this process."""
    return REGISTRY.get_sample_value("tollgate_rating_rate_seconds_count") or 0


async def test_what_came_late_is_previewed_while_it_waits_to_be_rated(world: World) -> None:
    """The second worker stores usage as it comes, but rates only once an hour."""
    world.now = NOVEMBER + timedelta(days=1)
    async with AsyncExitStack() as first:
        await october(await world.start(stack=first), world)
    async with AsyncExitStack() as second:
        before, partitions = ratings(), await world.bus.partitions(ROLLUPS.name)
        client = await world.start(
            stack=second, worker_id="two", rate_seconds=3600, lease_seconds=30
        )
        await world.seal(NOVEMBER + timedelta(hours=13))
        await eventually(lambda: ratings() == before + partitions, timeout=20)
        await world.report("acme", "stored", {OCTOBER: 20})
        await paid(world, 40)

        async def seen() -> str | None:
            made = await preview(client, plan=None)
            return made["id"] if made["summary"]["charges"] == 2 else None

        id = await eventually(seen, timeout=20)
        assert await lines(client, id) == [
            ("acme", "payments", "2026-10-01", "31", "19"),
            ("acme", "volumes", "2026-10-01", "500", "600"),
        ]
        await charged(client, "31", "500")
        for _ in range(2):
            assert (await approve(client, id)).json()["state"] == "applied"
    client = await world.start(worker_id="three")
    await charged(client, "19", "600")
    assert len(await history(client, "acme")) == 1
    assert (await preview(client, plan=None))["summary"]["charges"] == 0


async def test_a_discarded_one_is_never_applied(client: httpx.AsyncClient) -> None:
    made = await preview(client)
    for _ in range(2):
        answer = await client.post(f"/v1/rerates/{made['id']}/discard", json={"by": "cy"})
        assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    refused(await approve(client, made["id"]), 409, "rerate_decided")
    assert len(await history(client, "acme")) == 1
    listed = (await client.get("/v1/rerates")).json()["items"]
    assert [(one["id"], one["decided_by"]) for one in listed] == [(made["id"], "cy")]


async def test_without_a_correction_things_are_rated_as_they_are(
    client: httpx.AsyncClient,
) -> None:
    made = await preview(client, plan=None)
    assert made["summary"] == {"totals": {}, "charges": 0, "subscriptions": 2}
    assert (await approve(client, made["id"])).json()["state"] == "applied"


async def test_the_same_key_previews_once(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = [await client.post("/v1/rerates", json=RERATE, headers=key) for _ in range(2)]
    assert first.json() == second.json()


async def test_what_cannot_be_rerated(client: httpx.AsyncClient) -> None:
    for changes, status, code in (
        ({"to": "2026-12-01T00:00:00Z"}, 422, "invalid_request"),
        ({"to": RERATE["from"]}, 422, "invalid_request"),
        ({"plan": {"slug": "standard", "version": 9}}, 422, "unknown_reference"),
        ({"reason": ""}, 422, "invalid_request"),
    ):
        refused(await client.post("/v1/rerates", json=RERATE | changes), status, code)
    refused(await approve(client, "nobody"), 404, "unknown_rerate")
    refused(await client.get("/v1/rerates/nobody/lines"), 404, "unknown_rerate")
