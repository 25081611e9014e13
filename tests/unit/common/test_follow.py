"""A compacted topic as a dictionary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from common.bus import BusError, Record
from common.bus.follow import Follower
from common.bus.memory import MemoryBus
from common.contracts import wire
from common.contracts.control import tick_record
from common.contracts.meters import Meter, meter_record
from common.contracts.topics import METERS, partition_for
from tests.support.eventually import eventually


def decode(data: bytes) -> Meter:
    return wire.decode(Meter, data)


def meter(slug: str, revision: int) -> Meter:
    return Meter(slug=slug, event_type="e", aggregation="count", revision=revision)


async def publish(bus: MemoryBus, value: Meter) -> None:
    partition = partition_for(value.slug, await bus.partitions(METERS.name))
    await bus.append(METERS.name, {partition: [meter_record(value)]})


@asynccontextmanager
async def following(bus: Any, **options: Any) -> AsyncIterator[Follower[Meter]]:
    follower = Follower(bus, METERS, decode, **options)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_ready_when_all_that_was_there_is_read() -> None:
    bus = MemoryBus()
    for number in range(20):
        await publish(bus, meter(f"m{number}", number))
    async with following(bus) as follower:
        await follower.ready(5)
        assert {slug: m.revision for slug, m in follower.items.items()} == {
            f"m{n}": n for n in range(20)
        }


async def test_an_empty_topic_is_ready_at_once() -> None:
    async with following(MemoryBus()) as follower:
        await follower.ready(5)
        assert follower.items == {}


async def test_changes_come_in_and_are_told() -> None:
    bus = MemoryBus()
    told: list[tuple[str, int | None]] = []

    def note(key: str, value: Meter | None) -> None:
        told.append((key, value.revision if value else None))

    async with following(bus, on_change=note) as follower:
        await follower.ready(5)
        await publish(bus, meter("a", 1))
        await publish(bus, meter("a", 3))
        await publish(bus, meter("a", 2))  # a publisher that was late
        await bus.append(METERS.name, {0: [tick_record()]})
        await eventually(lambda: told == [("a", 1), ("a", 3)])
        assert follower.items["a"].revision == 3
        await bus.append(METERS.name, {partition_for("a", 4): [Record(b"a", None)]})
        await eventually(lambda: told[-1] == ("a", None))
        assert follower.items == {}


async def test_an_unknown_version_ends_it() -> None:
    bus = MemoryBus()
    value = msgspec.json.decode(wire.encode(meter("a", 1))) | {"v": 9}
    await bus.append(METERS.name, {0: [Record(b"a", msgspec.json.encode(value))]})
    with pytest.raises(ExceptionGroup) as error:
        await Follower(bus, METERS, decode).run()
    assert error.group_contains(wire.UnknownVersion)


class Away(MemoryBus):
    """A broker that is away for the first few questions."""

    left = 3

    async def end_offset(self, topic: str, partition: int) -> int:
        if self.left:
            self.left -= 1
            raise BusError("away")
        return await super().end_offset(topic, partition)


async def test_it_survives_a_broker_that_is_away() -> None:
    bus = Away(partitions=1)
    await publish(bus, meter("a", 1))
    async with following(bus) as follower:
        await follower.ready(10)
        assert follower.items["a"].revision == 1
