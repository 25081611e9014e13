"""What a worker's death leaves behind, its successor completes."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg

from common.contracts.topics import CHARGES
from tests.integration.rating.world import World, fee, per_unit
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TENANTS = [f"tenant-{number}" for number in range(12)]


async def test_a_second_worker_takes_over_from_a_killed_one(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    await world.add_meter("requests")
    api = await world.start(worker=False)
    first = await service_process(
        "tollgate-rating", "worker", environment=world.environment()
    ).start()
    await world.plan(api, "usage", per_unit("requests", "1"))
    for key in TENANTS:
        await world.tenant(api, key)
        await world.subscribe(api, key, "usage", NOVEMBER)
    second = await service_process(
        "tollgate-rating", "worker", environment=world.environment()
    ).start()
    for value in range(1, 6):
        for key in TENANTS:
            await world.use(key, "requests", {NOON: value * 10})
        if value == 2:
            await first.kill()
        if value == 4:
            await first.start(ready=False)
            await second.kill()
    end = NOON + timedelta(minutes=1)
    await world.seal(end)
    await eventually(lambda: world.has_told(end), timeout=30)
    published = await world.published_charges()
    assert {c.tenant: c.amount for c in published.values()} == dict.fromkeys(TENANTS, Decimal(50))


async def test_a_restart_emits_again_what_was_not_acknowledged(world: World) -> None:
    async with AsyncExitStack() as life:
        client = await world.start(stack=life)
        await world.tenant(client, "acme")
        await world.plan(client, "flat", fee("30"))
        await world.subscribe(client, "acme", "flat", NOVEMBER)
        charges = await eventually(world.published_charges)
    before = len(await world.messages(CHARGES.name))
    await _forget_emissions(world)
    await world.start(api=False)

    async def again() -> bool:
        return len(await world.messages(CHARGES.name)) > before

    await eventually(again, timeout=20)
    assert await world.published_charges() == charges


async def _forget_emissions(world: World) -> None:
    """As if the owner had died between its commit and its emission."""
    connection = await asyncpg.connect(world.database.service_url)
    try:
        await connection.execute("UPDATE rating.emissions SET version = 0")
    finally:
        await connection.close()
