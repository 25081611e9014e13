"""Usage crosses a limit and a decision appears; time, rules and takeovers change it."""

import asyncio
import time
from typing import Any

import httpx

from tests.integration.throttler.world import World
from tests.support.eventually import eventually

DAILY: dict[str, Any] = {
    "meter": "requests",
    "applies_to": {"all": True},
    "window": "day",
    "limit": "100",
    "action": {"kind": "deny", "status": 402},
}


async def put(client: httpx.AsyncClient, slug: str, **changes: Any) -> dict[str, Any]:
    async def taken() -> dict[str, Any] | None:
        answer = await client.put(f"/v1/rules/{slug}", json=DAILY | changes)
        # The meter comes by its topic; until then nobody can say whether it exists.
        assert answer.status_code in (200, 503), answer.text
        return answer.json() if answer.status_code == 200 else None

    body: dict[str, Any] = await eventually(taken)
    return body


async def decision(client: httpx.AsyncClient, tenant: str = "acme") -> dict[str, Any]:
    answer = await client.get(f"/v1/decisions/{tenant}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def state_becomes(
    client: httpx.AsyncClient, state: str, tenant: str = "acme"
) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        found = await decision(client, tenant)
        return found if found["state"] == state and found["revision"] else None

    found: dict[str, Any] = await eventually(reached, timeout=15)
    return found


async def test_crossing_the_limit_denies_that_tenant_and_only_it(world: World) -> None:
    await world.meter()
    await world.tenant("acme")
    await world.tenant("globex")
    async with world.throttler() as client:
        await put(client, "daily")
        await world.use("globex", 99)
        await world.use("acme", 60)
        await state_becomes(client, "allow", "globex")
        await state_becomes(client, "allow")

        began = time.monotonic()
        await world.use("acme", 40)
        denied = await state_becomes(client, "deny")
        latency = time.monotonic() - began
        print(f"usage on the bus -> decision readable: {latency * 1000:.0f} ms")
        assert latency < 10

        assert denied["status"] == 402
        assert (denied["rule"], denied["rule_version"]) == ("daily", 1)
        assert (denied["usage"], denied["limit"]) == ("100", "100")
        assert denied["window_end"] == "2026-05-16T00:00:00Z"
        assert denied["expires_at"] == denied["window_end"]
        assert denied["retry_after"] == 12 * 3600
        assert denied["known"] is True
        assert denied["rules"][0]["remaining"] == "0"
        assert [entry["state"] for entry in denied["log"]] == ["deny", "allow"]
        assert (await decision(client, "globex"))["state"] == "allow"


async def test_more_usage_writes_no_more_decisions(world: World) -> None:
    await world.meter()
    await world.tenant("acme")
    async with world.throttler() as client:
        await put(client, "daily")
        await world.use("acme", 100)
        first = await state_becomes(client, "deny")
        await world.use("acme", 400)

        async def seen() -> bool:
            rules = (await decision(client))["rules"]
            return bool(rules[0]["usage"] == "500")

        await eventually(seen, timeout=15)
        assert (await decision(client))["revision"] == first["revision"]


async def test_the_end_of_the_window_frees(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        await put(client, "a-minute", window="minute")
        await world.use("acme", 100)
        await state_becomes(client, "deny")
        world.clock.forward(seconds=60)
        freed = await state_becomes(client, "allow")
        assert freed["decided_at"] == "2026-05-15T12:01:00Z"


async def test_a_changed_rule_takes_effect_by_itself(world: World) -> None:
    await world.meter()
    await world.tenant("acme")
    async with world.throttler() as client:
        await world.use("acme", 100)
        assert (await put(client, "daily"))["version"] == 1
        await state_becomes(client, "deny")
        assert (await put(client, "daily", limit="101"))["version"] == 2
        await state_becomes(client, "allow")
        await put(client, "daily", action={"kind": "throttle", "rate": "5", "burst": 10})
        slowed = await state_becomes(client, "throttle")
        assert (slowed["rate"], slowed["burst"], slowed["status"]) == ("5", 10, 429)
        await put(client, "daily", mode="shadow")
        watched = await state_becomes(client, "allow")
        assert watched["shadow"][0]["state"] == "deny"
        await put(client, "daily")
        await state_becomes(client, "deny")
        assert (await client.delete("/v1/rules/daily")).status_code == 204
        freed = await state_becomes(client, "allow")
        assert freed["reason"] == "no rule applies"

        log = (await client.get("/v1/decisions/acme/log")).json()["items"]
        revisions = [entry["revision"] for entry in log]
        assert revisions == sorted(revisions, reverse=True)
        states = [entry["state"] for entry in reversed(log)]
        assert states == ["deny", "allow", "throttle", "allow", "deny", "allow"]


async def test_a_rule_follows_the_tenants_plan(world: World) -> None:
    from tests.unit.throttler.build import subscription

    await world.meter()
    await world.tenant("acme", subscription("free"))
    async with world.throttler() as client:
        await world.use("acme", 100)
        await put(client, "free", applies_to={"plan": "free"}, window="billing_period")
        denied = await state_becomes(client, "deny")
        assert denied["window_end"] == "2026-06-01T00:00:00Z"
        await world.tenant("acme", subscription("pro"), revision=2)
        await state_becomes(client, "allow")


async def test_a_second_worker_takes_over_and_revisions_go_on(world: World) -> None:
    await world.meter()
    await world.tenant("acme")
    async with world.throttler(worker=False, worker_id="api") as client:
        await put(client, "daily")
        async with world.throttler(api=False, worker_id="one"):
            await world.use("acme", 100)
            denied = await state_becomes(client, "deny")
        await put(client, "daily", limit="500")
        async with world.throttler(api=False, worker_id="two"):
            freed = await state_becomes(client, "allow")
            assert freed["revision"] > denied["revision"]
            await asyncio.gather(*(world.use(f"tenant-{number}", 500) for number in range(8)))
            for number in range(8):
                await state_becomes(client, "deny", f"tenant-{number}")
        items = (await client.get("/v1/decisions")).json()["items"]
        revisions = [item["revision"] for item in items]
        assert revisions == sorted(set(revisions))


async def test_two_workers_share_the_partitions(world: World) -> None:
    await world.meter()
    async with (
        world.throttler(worker_id="one") as client,
        world.throttler(api=False, worker_id="two"),
    ):
        await put(client, "daily")
        for number in range(12):
            await world.use(f"tenant-{number}", 100 if number % 2 else 99)
        for number in range(12):
            await state_becomes(client, "deny" if number % 2 else "allow", f"tenant-{number}")
