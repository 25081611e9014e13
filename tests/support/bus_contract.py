"""What every bus must do. A test class for each back end inherits this one and gives the `bus`
and `topic` fixtures: a started bus, and the name of an empty topic of `PARTITIONS` partitions."""

import asyncio

import pytest

from common.bus import Bus, BusError, Message, Record
from common.bus.types import OffsetLost

PARTITIONS = 4


def records(*values: str) -> list[Record]:
    return [Record(key=b"k", value=value.encode()) for value in values]


async def read_all(
    bus: Bus, topic: str, partition: int, count: int, start: int = 0
) -> list[Message]:
    """The next `count` messages from `start`; fails when they do not come."""
    reader = await bus.reader(topic, partition, start)
    found: list[Message] = []
    try:
        async with asyncio.timeout(20):
            while len(found) < count:
                found += await reader.read(count - len(found), 0.5)
    finally:
        await reader.close()
    return found


class BusContract:
    async def test_what_is_appended_is_read_in_order(self, bus: Bus, topic: str) -> None:
        await bus.append(topic, {0: records("a", "b", "c"), 1: records("x")})
        await bus.append(topic, {0: records("d")})

        found = await read_all(bus, topic, 0, 4)

        assert [m.value for m in found] == [b"a", b"b", b"c", b"d"]
        assert [m.offset for m in found] == [0, 1, 2, 3]
        assert {(m.topic, m.partition, m.key) for m in found} == {(topic, 0, b"k")}
        assert [m.value for m in await read_all(bus, topic, 1, 1)] == [b"x"]

    async def test_the_broker_stamps_records_with_times_that_do_not_go_back(
        self, bus: Bus, topic: str
    ) -> None:
        await bus.append(topic, {0: records("a")})
        await bus.append(topic, {0: records("b")})

        found = await read_all(bus, topic, 0, 2)

        assert all(m.log_append_time for m in found)
        assert 0 < found[0].timestamp_ms <= found[1].timestamp_ms

    async def test_headers_and_missing_keys_and_values_come_back(
        self, bus: Bus, topic: str
    ) -> None:
        headers = (("origin", b"1:2"), ("origin", b"second"), ("blob", bytes(range(256))))
        bare = Record(key=None, value=b"")
        tombstone = Record(key=b"\xffk", value=None)
        await bus.append(topic, {0: [Record(b"", b"v", headers), bare, tombstone]})

        first, second, third = await read_all(bus, topic, 0, 3)

        assert first.headers == headers
        assert first.key == b""
        assert first.header("origin") == b"1:2"
        assert first.header("other") is None
        assert (second.key, second.value, second.headers) == (None, b"", ())
        assert (third.key, third.value) == (b"\xffk", None)

    async def test_records_of_a_mebibyte(self, bus: Bus, topic: str) -> None:
        values = [bytes([number]) * 2**20 for number in range(5)]
        await bus.append(topic, {2: [Record(b"k", value) for value in values]})
        await bus.append(topic, {2: [Record(b"k", b"one more" * 2**17)]})

        found = await read_all(bus, topic, 2, 6)

        assert [m.value for m in found[:5]] == values
        assert len(found[5].value or b"") == 2**20

    async def test_many_small_records(self, bus: Bus, topic: str) -> None:
        values = [str(number) for number in range(20_000)]
        await bus.append(topic, {number: records(*values) for number in range(PARTITIONS)})

        for number in range(PARTITIONS):
            found = await read_all(bus, topic, number, 20_000)
            assert [(m.value or b"").decode() for m in found] == values
            assert [m.offset for m in found] == list(range(20_000))

    async def test_concurrent_appends_all_arrive(self, bus: Bus, topic: str) -> None:
        await asyncio.gather(*(bus.append(topic, {n % 2: records(str(n))}) for n in range(100)))

        found = await read_all(bus, topic, 0, 50) + await read_all(bus, topic, 1, 50)

        assert {m.value for m in found} == {str(n).encode() for n in range(100)}

    async def test_an_append_of_nothing_is_nothing(self, bus: Bus, topic: str) -> None:
        await bus.append(topic, {})
        await bus.append(topic, {0: []})

        assert await bus.end_offset(topic, 0) == 0

    async def test_offsets_of_beginning_and_end(self, bus: Bus, topic: str) -> None:
        assert await bus.beginning_offset(topic, 3) == await bus.end_offset(topic, 3) == 0
        await bus.append(topic, {3: records("a", "b")})

        assert (await bus.beginning_offset(topic, 3), await bus.end_offset(topic, 3)) == (0, 2)

    async def test_offsets_by_the_time_of_their_record(self, bus: Bus, topic: str) -> None:
        assert await bus.offset_at(topic, 0, 1) == 0
        await bus.append(topic, {0: records("first")})
        times = [m.timestamp_ms for m in await read_all(bus, topic, 0, 1)]
        while times[-1] == times[0]:  # until the broker's clock has moved
            await bus.append(topic, {0: records("more")})
            times = [m.timestamp_ms for m in await read_all(bus, topic, 0, len(times) + 1)]

        assert await bus.offset_at(topic, 0, times[0]) == 0
        assert await bus.offset_at(topic, 0, times[0] + 1) == len(times) - 1
        assert await bus.offset_at(topic, 0, times[-1] + 1) == len(times)

    async def test_how_many_partitions(self, bus: Bus, topic: str) -> None:
        assert await bus.partitions(topic) == PARTITIONS

    async def test_a_reader_starts_anywhere_and_seeks(self, bus: Bus, topic: str) -> None:
        await bus.append(topic, {0: records("a", "b", "c", "d")})
        reader = await bus.reader(topic, 0, 2)
        try:
            assert [m.value for m in await read_some(reader, 2)] == [b"c", b"d"]
            await reader.seek(1)
            assert [m.value for m in await read_some(reader, 3)] == [b"b", b"c", b"d"]
        finally:
            await reader.close()

    async def test_a_read_takes_no_more_than_asked(self, bus: Bus, topic: str) -> None:
        await bus.append(topic, {0: records("a", "b", "c")})
        reader = await bus.reader(topic, 0, 0)
        try:
            assert len(await reader.read(2, 5)) == 2
            assert [m.value for m in await read_some(reader, 1)] == [b"c"]
        finally:
            await reader.close()

    async def test_a_reader_at_the_end_waits_for_more(self, bus: Bus, topic: str) -> None:
        reader = await bus.reader(topic, 0, 0)
        try:
            assert await reader.read(10, 0.1) == []
            waiting = asyncio.create_task(read_some(reader, 1))
            await bus.append(topic, {0: records("late")})
            assert [m.value for m in await waiting] == [b"late"]
        finally:
            await reader.close()

    async def test_an_offset_beyond_the_end_is_lost(self, bus: Bus, topic: str) -> None:
        """The log is not the one that the position was taken from."""
        await bus.append(topic, {0: records("a")})
        reader = await bus.reader(topic, 0, 100)
        try:
            with pytest.raises(OffsetLost):
                await read_some(reader, 1)
        finally:
            await reader.close()

    async def test_an_unknown_partition_is_refused(self, bus: Bus, topic: str) -> None:
        with pytest.raises(BusError):
            await bus.append(topic, {PARTITIONS + 5: records("a")})
        await bus.append(topic, {0: records("still works")})

    async def test_an_unknown_topic_is_refused(self, bus: Bus, topic: str) -> None:
        with pytest.raises(BusError, match="no-such-topic"):
            await bus.partitions("no-such-topic")
        with pytest.raises(BusError):
            await bus.append("no-such-topic", {0: records("a")})
        await bus.append(topic, {0: records("still works")})


async def read_some(reader, count: int) -> list[Message]:  # type: ignore[no-untyped-def]
    """The next `count` messages of a reader; fails when they do not come."""
    found: list[Message] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.read(count - len(found), 0.5)
    return found
