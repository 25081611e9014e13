"""A bus in memory: for tests and simulation, with the same contract as Kafka's."""

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from common.bus.types import BusError, Message, OffsetLost, Reader, Record
from common.contracts.topics import DEFAULT_PARTITIONS


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryBus:
    """Logs as lists. Timestamps come from `clock_ms` and never go back within a partition.

    `topics`: the only ones there are; None: every topic exists.
    """

    def __init__(
        self,
        *,
        partitions: int = DEFAULT_PARTITIONS,
        topics: Collection[str] | None = None,
        clock_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        self._partitions = partitions
        self._topics = topics
        self._clock_ms = clock_ms
        self._logs: dict[tuple[str, int], list[Message]] = defaultdict(list)
        self._first: dict[tuple[str, int], int] = defaultdict(int)
        self._waiting: dict[tuple[str, int], set[asyncio.Future[None]]] = defaultdict(set)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        for partition in batches:
            self._require(topic, partition)
        for partition, records in batches.items():
            log = self._logs[topic, partition]
            for record in records:
                last_ms = log[-1].timestamp_ms if log else 0
                log.append(
                    Message(
                        topic=topic,
                        partition=partition,
                        offset=self._first[topic, partition] + len(log),
                        timestamp_ms=max(last_ms, self._clock_ms()),
                        log_append_time=True,
                        key=record.key,
                        value=record.value,
                        headers=record.headers,
                    )
                )
            if records:
                self._wake((topic, partition))

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        self._require(topic, partition)
        return _MemoryReader(self, topic, partition, offset)

    async def partitions(self, topic: str) -> int:
        self._require(topic, 0)
        return self._partitions

    async def beginning_offset(self, topic: str, partition: int) -> int:
        self._require(topic, partition)
        return self._first[topic, partition]

    async def end_offset(self, topic: str, partition: int) -> int:
        self._require(topic, partition)
        return self._first[topic, partition] + len(self._logs[topic, partition])

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        self._require(topic, partition)
        log = self._logs[topic, partition]
        return self._first[topic, partition] + bisect_left(
            log, timestamp_ms, key=lambda message: message.timestamp_ms
        )

    def drop_before(self, topic: str, partition: int, offset: int) -> None:
        """Retention: forget everything before `offset`."""
        first = self._first[topic, partition]
        del self._logs[topic, partition][: offset - first]
        self._first[topic, partition] = offset

    def messages(self, topic: str, partition: int) -> list[Message]:
        """A copy of what is kept, for assertions."""
        return list(self._logs[topic, partition])

    async def fetch(
        self, topic: str, partition: int, offset: int, limit: int, wait_seconds: float
    ) -> list[Message]:
        """Up to `limit` messages from `offset`, waiting for the first one."""
        first = self._first[topic, partition]
        if offset < first:
            raise OffsetLost(f"{topic}/{partition}@{offset}: the log starts at {first}")
        log = self._logs[topic, partition]
        if offset > first + len(log):
            raise OffsetLost(f"{topic}/{partition}@{offset}: the log ends at {first + len(log)}")
        if offset - first >= len(log) and wait_seconds > 0:
            await self._arrival((topic, partition), wait_seconds)
        return log[offset - first : offset - first + limit]

    async def _arrival(self, place: tuple[str, int], wait_seconds: float) -> None:
        """Wait for the next append to a partition, but not longer than `wait_seconds`."""
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        given_up = loop.call_later(wait_seconds, _settle, arrived)
        self._waiting[place].add(arrived)
        try:
            await arrived
        finally:
            given_up.cancel()
            self._waiting[place].discard(arrived)

    def _wake(self, place: tuple[str, int]) -> None:
        for arrived in self._waiting[place]:
            _settle(arrived)

    def _require(self, topic: str, partition: int) -> None:
        if self._topics is not None and topic not in self._topics:
            raise BusError(f"topic {topic} does not exist")
        if not 0 <= partition < self._partitions:
            raise BusError(f"partition {partition} of {self._partitions} does not exist")


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _MemoryReader:
    def __init__(self, bus: MemoryBus, topic: str, partition: int, offset: int) -> None:
        self._bus, self._topic, self._partition, self._offset = bus, topic, partition, offset

    async def read(self, max_messages: int, wait_seconds: float) -> list[Message]:
        messages = await self._bus.fetch(
            self._topic, self._partition, self._offset, max_messages, wait_seconds
        )
        if messages:
            self._offset = messages[-1].offset + 1
        return messages

    async def seek(self, offset: int) -> None:
        self._offset = offset

    async def close(self) -> None:
        """Nothing to release."""
