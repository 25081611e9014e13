"""The part of the log that waits is counted once and searched within bounds."""

from common.bus.memory import MemoryBus
from common.bus.types import Message, Record
from common.contracts.control import tick_record
from common.contracts.topics import RECEIVED
from ingest.backlog import Backlog, read_one, tail


class CountingBus(MemoryBus):
    """Counts the messages that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    async def fetch(
        self, topic: str, partition: int, offset: int, limit: int, wait_seconds: float
    ) -> list[Message]:
        found = await super().fetch(topic, partition, offset, limit, wait_seconds)
        self.read += len(found)
        return found


async def fill(bus: MemoryBus, partition: int, *counts: int) -> None:
    records = [Record(b"k", b"x" * 10, (("count", b"%d" % count),)) for count in counts]
    await bus.append(RECEIVED.name, {partition: records})


async def test_pending_is_what_lies_behind_the_positions() -> None:
    bus = CountingBus()
    await fill(bus, 0, 5, 7, 0, 1)
    await fill(bus, 2, 100)
    await bus.append(RECEIVED.name, {0: [tick_record()]})
    backlog = Backlog(bus)
    assert await backlog.pending({0: 0, 1: 0, 2: 0, 3: 0}) == 113
    assert await backlog.pending({0: 1, 1: 0, 2: 0, 3: 0}) == 108
    assert await backlog.pending({0: 5, 1: 0, 2: 1, 3: 0}) == 0
    assert await backlog.pending({0: 1}) == 108, "a position may be older than the last one"


async def test_each_record_is_read_once() -> None:
    bus = CountingBus()
    await fill(bus, 0, *[1] * 50)
    backlog = Backlog(bus)
    for start in range(10):
        assert await backlog.pending({0: start}) == 50 - start
    await fill(bus, 0, 3)
    assert await backlog.pending({0: 10}) == 43
    assert bus.read == 51


async def test_a_search_stops_at_its_bound_and_at_the_end() -> None:
    bus = MemoryBus()
    await fill(bus, 0, *[1] * 50)
    assert len([message async for message in tail(bus, 0, 10)]) == 40
    assert len([message async for message in tail(bus, 0, 0, bytes_max=95)]) == 10
    assert [message async for message in tail(bus, 0, 50)] == []


async def test_one_message_is_read_back_while_it_is_kept() -> None:
    bus = MemoryBus()
    await fill(bus, 0, 1, 2)
    await bus.append(RECEIVED.name, {0: [tick_record()]})
    found = await read_one(bus, 0, 1)
    assert found is not None
    assert found.offset == 1
    assert await read_one(bus, 0, 2) is None
    bus.drop_before(RECEIVED.name, 0, 2)
    assert await read_one(bus, 0, 1) is None
