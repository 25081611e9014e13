"""A compacted topic as a dictionary in memory: the newest value of each key."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from common.bus.types import Bus, BusError, Message
from common.contracts.control import is_control
from common.contracts.topics import Topic

log = logging.getLogger(__name__)
V = TypeVar("V")


class Follower(Generic[V]):
    """Follows all partitions of `topic` from their beginning.

    `items` maps a record key to its decoded newest value; a tombstone removes the key. A value
    that cannot be decoded raises out of `run`, because an unknown version must not be guessed at.
    `on_change(key, value or None)` is called after each change, in the event loop.
    """

    def __init__(
        self,
        bus: Bus,
        topic: Topic,
        decode: Callable[[bytes], V],
        on_change: Callable[[str, V | None], None] | None = None,
    ) -> None:
        self.items: dict[str, V] = {}
        self._bus, self._topic, self._decode, self._on_change = bus, topic, decode, on_change
        self._ready = asyncio.Event()
        self._behind: set[int] = set()

    async def ready(self, timeout_seconds: float = 30) -> None:
        """Wait until everything that was in the topic at the start has been read."""
        await asyncio.wait_for(self._ready.wait(), timeout_seconds)

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def run(self) -> None:
        """Follow until cancelled; survives a broker that goes away."""
        count = await self._partitions()
        self._behind = set(range(count))
        async with asyncio.TaskGroup() as group:
            for partition in range(count):
                group.create_task(self._follow(partition))

    async def _follow(self, partition: int) -> None:
        position: int | None = None
        while True:
            try:
                begin = await self._bus.beginning_offset(self._topic.name, partition)
                end = await self._bus.end_offset(self._topic.name, partition)
                if position is None or not begin <= position <= end:
                    position = begin  # the first time, or the topic was made anew
                reader = await self._bus.reader(self._topic.name, partition, position)
                try:
                    while True:
                        if position >= end:
                            self._caught_up(partition)
                        for message in await reader.read(5_000, 1.0):
                            position = message.offset + 1
                            self._take(message)
                finally:
                    await reader.close()
            except BusError as error:
                log.warning("following %s/%d: %s; trying again", self._topic.name, partition, error)
                await asyncio.sleep(1)

    async def _partitions(self) -> int:
        while True:
            try:
                return await self._bus.partitions(self._topic.name)
            except BusError as error:
                log.warning("following %s: %s; trying again", self._topic.name, error)
                await asyncio.sleep(1)

    def _caught_up(self, partition: int) -> None:
        self._behind.discard(partition)
        if not self._behind:
            self._ready.set()

    def _take(self, message: Message) -> None:
        if is_control(message) or message.key is None:
            return
        key = message.key.decode()
        if message.value is None:
            self.items.pop(key, None)
            value = None
        else:
            value = self._decode(message.value)
            known = self.items.get(key)
            if known is not None and _revision(value) < _revision(known):
                return  # a publisher that had lost its lease was late
            self.items[key] = value
        if self._on_change is not None:
            self._on_change(key, value)


def _revision(value: object) -> int:
    """How new a value is; values without a revision are as new as their place in the log."""
    return getattr(value, "revision", 0)
