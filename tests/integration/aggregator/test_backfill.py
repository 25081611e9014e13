"""Usage from before a meter existed: each event once for the meter, before or after."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from tests.integration.aggregator.world import World, event
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers


async def test_a_new_meter_knows_the_past(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        await world.send(*(event(n, tenant=f"t{n % 3}", bytes=n) for n in range(30)))
        await api.until("requests", {f"t{n}": "10" for n in range(3)})

        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        await api.until("bytes", {"t0": "135", "t1": "145", "t2": "155"})
        await api.backfilled("bytes")


async def test_each_event_counts_once_while_events_stream_in(world: World) -> None:
    """Events, and records emitted again, go on while three meters are made one after another."""
    expected: Counter[str] = Counter()
    stop = asyncio.Event()

    async def stream() -> None:
        number = 0
        while not stop.is_set():
            events = [event(number + n, tenant=f"t{n % 7}", bytes=n) for n in range(20)]
            records = await world.send(*events)
            number += 20
            expected.update(one["subject"] for one in events)
            if number % 60 == 0:
                await world.bus.append("usage.events", records)

    def sent_more_than(least: int) -> bool:
        return expected.total() > least

    async with world.running(backfill_events=50) as api:
        sending = asyncio.create_task(stream())
        try:
            for number, slug in enumerate(("first", "second", "third"), 1):
                await eventually(partial(sent_more_than, 300 * number))
                await api.define(slug)
            for slug in ("first", "second", "third"):
                await api.backfilled(slug)
        finally:
            stop.set()
            await sending
        wanted = {tenant: str(count) for tenant, count in expected.items()}
        for slug in ("first", "second", "third"):
            await api.until(slug, wanted)


async def test_a_backfill_survives_a_restart(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        for batch in range(20):
            await world.send(*(event(100 * batch + n, tenant=f"t{n % 5}") for n in range(100)))
        await api.until("requests", {f"t{n}": "400" for n in range(5)})
    async with world.running(backfill_events=1, emit_seconds=0.05) as api:
        await api.define("late")

        async def begun() -> bool:
            items = await api.values("late")
            return 0 < sum(int(value) for value in items.values()) < 2000

        await eventually(begun)
    async with world.running() as api:
        await api.backfilled("late")
        await api.until("late", {f"t{n}": "400" for n in range(5)})


async def test_rollups_of_a_backfill_are_published_while_nothing_new_comes_in(
    world: World,
) -> None:
    async with world.running() as api:
        await api.define("requests")
        await world.send(event(1), event(2))
        await api.until("requests", {"acme": "2"})
        await api.define("late")

        async def published() -> bool:
            found = [r for r in await world.rollups() if r.meter == "late"]
            return bool(found) and found[-1].value.count == 2

        await eventually(published)
