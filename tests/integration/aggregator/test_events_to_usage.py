"""Events in, usage and rollups out, on real Kafka and PostgreSQL."""

from decimal import Decimal

import pytest

from aggregator.cells import instant
from common.bus.follow import Follower
from common.contracts import wire
from common.contracts.control import watermark_of
from common.contracts.meters import Meter
from common.contracts.topics import METERS
from common.db import connect
from common.service import background
from common.usage import UsageProjection, usage_tables
from tests.integration.aggregator.world import NOON_MS, World, event
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers


async def test_events_become_usage_of_their_tenants(world: World) -> None:
    async with world.running() as api:
        assert (await api.define("requests")).status_code == 201
        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        await world.send(event(1, bytes=10), event(2, bytes="2.5"), event(3, tenant="b", bytes=1))
        await world.send(event(4, bytes=100, at="2026-11-23T13:00:05Z"))

        await api.until("requests", {"acme": "3", "b": "1"})
        await api.until("bytes", {"acme": "112.5", "b": "1"})
        hours = await api.usage("bytes", tenant="acme", window="hour")
        assert [(item["from"], item["value"]) for item in hours] == [
            ("2026-11-23T12:00:00Z", "12.5"),
            ("2026-11-23T13:00:00Z", "100"),
        ]


async def test_an_hour_enters_its_day_when_the_next_one_begins(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        await world.send(event(1), event(2, at="2026-11-23T11:59:59Z"))
        await api.until("requests", {"acme": "2"})
        assert await _days_and_folded_hours(world) == (1, 1)
        await world.send(event(3, at="2026-11-23T13:00:00Z"))
        await api.until("requests", {"acme": "3"})
        assert await _days_and_folded_hours(world) == (2, 2)
        await world.send(event(4, at="2026-11-23T11:00:00Z"))
        await api.until("requests", {"acme": "4"})
        assert await _days_and_folded_hours(world) == (3, 3)


async def test_an_hour_enters_its_day_once_whoever_sees_the_next_one(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        await world.send(event(1), event(2, at="2026-11-23T11:59:59Z"))
        await api.until("requests", {"acme": "2"})
    async with world.running() as api:
        await world.send(event(3, at="2026-11-23T11:00:00Z"))
        await api.until("requests", {"acme": "3"})
        assert await _days_and_folded_hours(world) == (2, 2)
        await world.send(event(4, at="2026-11-23T13:00:00Z"))
        await api.until("requests", {"acme": "4"})
        assert await _days_and_folded_hours(world) == (3, 3)


async def _days_and_folded_hours(world: World) -> tuple[int, int]:
    """How many events the days have, and the hours that say they are in them."""
    connection = await connect(world.service_url)
    try:
        days = await connection.fetchval("SELECT sum(count)::int FROM aggregator.days")
        hours = "SELECT sum(count)::int FROM aggregator.hours WHERE folded"
        return days, await connection.fetchval(hours)
    finally:
        await connection.close()


async def test_what_was_emitted_twice_counts_once(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        records = await world.send(*(event(n, tenant=f"t{n % 5}") for n in range(100)))
        await world.bus.append("usage.events", records)
        await world.send(event(100, tenant="last"))
        await world.bus.append("usage.events", records)
        await world.send(*(event(n, tenant=f"t{n % 5}") for n in range(200, 210)))

        await api.until("requests", {f"t{n}": "22" for n in range(5)} | {"last": "1"})


async def test_rollups_are_published_absolute_with_the_slots_that_changed(world: World) -> None:
    async with world.running() as api:
        await api.define("bytes", aggregation="sum", value="bytes", unit="bytes")
        await world.send(event(1, bytes=1), event(2, bytes=2, at="2026-11-23T12:00:19Z"))
        first = await eventually(world.rollups)
        assert [(r.tenant, r.value.sum, len(r.slots)) for r in first] == [("acme", Decimal(3), 2)]

        await world.send(event(3, bytes=4, at="2026-11-23T12:00:19Z"))

        async def second_came() -> bool:
            return len(await world.rollups()) > 1

        await eventually(second_came)
        second = (await world.rollups())[-1]
        assert second.value.sum == Decimal(7)
        assert [(slot.start.second, slot.value.sum) for slot in second.slots] == [(10, Decimal(6))]
        assert second.version > first[0].version


async def test_a_reader_of_the_rollups_knows_what_the_api_says(world: World) -> None:
    """Rating and the throttler keep usage from rollups; `common.usage` is what they use."""
    async with world.running() as api:
        await api.define("users", aggregation="unique_count", value="user", unit="users")
        await world.send(*(event(n, user=f"u{n % 7}") for n in range(50)))
        await api.until("users", {"acme": "7"})
        await eventually(world.rollups)
        rollups = await world.rollups()

    owner = await connect(world.owner_url)
    try:
        await owner.execute("CREATE SCHEMA reader")
        await owner.execute(usage_tables("reader"))
        projection = UsageProjection("reader")
        async with owner.transaction():
            await projection.upsert(owner, rollups)
        usage = await projection.usage(
            owner, "acme", "users", instant(NOON_MS - 3_600_000), instant(NOON_MS + 3_600_000)
        )
        assert usage.quantity == 7
    finally:
        await owner.close()


async def test_the_watermark_follows_the_data_to_every_partition(world: World) -> None:
    async with world.running() as api:
        await api.define("requests")
        await world.send(event(1))
        await world.watermark(NOON_MS)

        async def watermark() -> bool:
            body = (await api.http.get("/v1/watermark")).json()
            return bool(body["watermark"] == "2026-11-23T12:00:00Z")

        await eventually(watermark)
        answer = await api.http.get("/v1/usage", params={"meter": "requests"})
        assert answer.json()["as_of"] == "2026-11-23T12:00:00Z"

        async def told() -> bool:
            said = {
                (message.partition, mark.origin)
                for message in await world.published()
                if (mark := watermark_of(message)) is not None and mark.watermark_ms == NOON_MS
            }
            return said == {(p, origin) for p in range(4) for origin in range(4)}

        await eventually(told)


async def test_meters_are_published_to_the_catalog(world: World) -> None:
    follower = Follower(world.bus, METERS, lambda data: wire.decode(Meter, data))
    async with world.running() as api, background(follower.run()):
        await api.define("requests", group_by={"route": "route"})
        found = await eventually(lambda: follower.items.get("requests"))
        assert found.group_by == {"route": "route"}
