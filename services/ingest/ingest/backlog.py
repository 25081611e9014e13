"""What is in usage.received and not processed yet: counted cheaply, and searched."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Mapping

from common.bus.types import Bus, Message
from common.contracts.control import is_control
from common.contracts.received import count_of
from common.contracts.topics import RECEIVED

_READ_MESSAGES = 500
_READ_SECONDS = 5.0


class _Counts:
    """Elements of each record from offset `first` on; four bytes a record."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.elements = array("I")


class Backlog:
    """Counts the elements from given offsets to the ends of the partitions.

    Each record is read once: what was counted is remembered until it has been processed.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._counts: dict[int, _Counts] = {}
        self._lock = asyncio.Lock()

    async def pending(self, next_offsets: Mapping[int, int]) -> int:
        """Elements in records at or above `next_offsets`, by partition; a partition that is not
        named counts from its beginning. Raises `BusError`."""
        async with self._lock:
            total = 0
            for partition in range(await self._bus.partitions(RECEIVED.name)):
                start = next_offsets.get(partition)
                if start is None:
                    start = await self._bus.beginning_offset(RECEIVED.name, partition)
                total += await self._pending_of(partition, start)
            return total

    async def _pending_of(self, partition: int, start: int) -> int:
        counts = self._counts.get(partition)
        if counts is None or not counts.first <= start <= counts.first + len(counts.elements):
            counts = self._counts[partition] = _Counts(start)
        del counts.elements[: start - counts.first]
        counts.first = start
        scanned = start + len(counts.elements)
        async for message in tail(self._bus, partition, scanned):
            counts.elements.append(count_of(message))
        return sum(counts.elements)


async def tail(
    bus: Bus, partition: int, offset: int, *, bytes_max: int | None = None
) -> AsyncIterator[Message]:
    """The messages of usage.received from `offset` to what is the end now, control records too.

    Stops early after `bytes_max` bytes. Raises `BusError` when the log does not give them.
    """
    end = await bus.end_offset(RECEIVED.name, partition)
    if offset >= end:
        return
    size = 0
    reader = await bus.reader(RECEIVED.name, partition, offset)
    try:
        while offset < end:
            messages = await reader.read(_READ_MESSAGES, _READ_SECONDS)
            if not messages:
                raise TimeoutError(f"{RECEIVED.name}/{partition}@{offset}")
            for message in messages:
                if message.offset >= end:
                    return
                offset = message.offset + 1
                size += len(message.value or b"")
                yield message
                if bytes_max is not None and size > bytes_max:
                    return
    finally:
        await reader.close()


async def read_one(bus: Bus, partition: int, offset: int) -> Message | None:
    """The data message at `offset`, or None when the log does not keep it any more."""
    if offset < await bus.beginning_offset(RECEIVED.name, partition):
        return None
    reader = await bus.reader(RECEIVED.name, partition, offset)
    try:
        messages = await reader.read(1, _READ_SECONDS)
    finally:
        await reader.close()
    if not messages or messages[0].offset != offset or is_control(messages[0]):
        return None
    return messages[0]
