"""The throttler as processes that are killed: who takes over, and how fast a clean stop is."""

import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import httpx

from tests.integration.throttler.test_crossing import put, state_becomes
from tests.integration.throttler.test_feed import events, first
from tests.integration.throttler.world import World
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess


def environment(world: World) -> dict[str, str]:
    return {
        "TOLLGATE_KAFKA": world.kafka,
        "TOLLGATE_TOPIC_PREFIX": world.prefix,
        "TOLLGATE_DATABASE_URL": world.service_url,
        "TOLLGATE_LEASE_SECONDS": "2",
    }


async def test_a_killed_worker_is_replaced_and_no_revision_comes_twice(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    world.clock.now = datetime.now(UTC)
    await world.meter()
    shared = environment(world)
    api = service_process("tollgate-throttler", "api", environment=shared, name="api")
    workers = [
        service_process("tollgate-throttler", "worker", environment=shared, name=f"worker-{n}")
        for n in range(2)
    ]
    await api.start()
    await workers[0].start()
    async with httpx.AsyncClient(base_url=api.url, timeout=20) as client:
        await put(client, "daily")
        for number in range(4):
            await world.use(f"tenant-{number}", 100)
        for number in range(4):
            await state_becomes(client, "deny", f"tenant-{number}")
        await workers[1].start()
        await workers[0].kill()
        for number in range(4, 8):
            await world.use(f"tenant-{number}", 100)
        for number in range(4, 8):
            await state_becomes(client, "deny", f"tenant-{number}")
        await put(client, "daily", limit="1000")
        for number in range(8):
            await state_becomes(client, "allow", f"tenant-{number}")
        revisions = []
        for number in range(8):
            log = (await client.get(f"/v1/decisions/tenant-{number}/log")).json()["items"]
            assert [entry["state"] for entry in log] == ["allow", "deny"]
            revisions += [entry["revision"] for entry in log]
        assert sorted(revisions) == list(range(1, 17))


async def test_a_stop_does_not_wait_for_the_edges_that_follow(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    process = service_process("tollgate-throttler", environment=environment(world))
    await process.start()
    async with (
        httpx.AsyncClient(base_url=process.url, timeout=20) as client,
        aclosing(events(client)) as stream,
    ):
        await first(stream, "snapshot")
        began = time.monotonic()
        code = await process.stop()
        # uvicorn ends by the signal that it was stopped with.
        assert code in (0, -signal.SIGTERM), process.output()[-2000:]
        assert time.monotonic() - began < 8


async def test_what_it_measures_is_exported(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    world.clock.now = datetime.now(UTC)
    await world.meter()
    process = service_process("tollgate-throttler", environment=environment(world))
    await process.start()
    async with httpx.AsyncClient(base_url=process.url, timeout=20) as client:
        await put(client, "daily")
        await world.use("acme", 100)
        await state_becomes(client, "deny")
        # A second one: the first may have been decided before there was a watermark.
        await world.use("globex", 100)
        await state_becomes(client, "deny", "globex")

        async def exported() -> bool:
            metrics = (await client.get("/metrics")).text
            return (
                'tollgate_decisions_total{state="deny"} 2.0' in metrics
                and "tollgate_decision_staleness_seconds_count" in metrics
                and "tollgate_decisions_revision 2.0" in metrics
            )

        await eventually(exported)
