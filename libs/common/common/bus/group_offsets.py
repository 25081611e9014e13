"""Mirrors positions to Kafka's group offsets, so that Kafka's own tools see the lag.

Best effort: positions live in PostgreSQL, and nothing waits for this. A second consumer that
reads nothing does it, because a failing commit makes every fetch of its consumer fail, and
`commit()` has no time limit of its own. The group names are reserved for this.
"""

import asyncio
import contextlib
import logging
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from common.stream.position import Position

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
REFRESH_SECONDS = 3600.0
"""Idle partitions are committed again this often: offsets of a group without members expire."""


class GroupOffsets:
    """Commits the newest position of each partition about once a second, under `group`."""

    def __init__(self, bootstrap: str, group: str, *, prefix: str = "") -> None:
        self._bootstrap, self._group, self._prefix = bootstrap, prefix + group, prefix
        self._latest: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, tuple[int, float]] = {}
        self._stopping = asyncio.Event()

    def note(self, position: Position) -> None:
        """A position was committed; cheap, called after every step."""
        place = TopicPartition(self._prefix + position.topic, position.partition)
        self._latest[place] = position.next_offset

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Mirror until `stop`; errors are logged at most once a minute and otherwise ignored."""
        complained_at = -60.0
        while not self._stopping.is_set():
            try:
                await self._mirror()
            except (KafkaError, TimeoutError, OSError, AssertionError) as error:
                if time.monotonic() - complained_at >= 60:
                    complained_at = time.monotonic()
                    log.warning("group offsets of %s are not mirrored: %r", self._group, error)
            await self._pause(5)

    async def _mirror(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            request_timeout_ms=10_000,
        )
        try:
            await asyncio.wait_for(consumer.start(), 15)
            while not self._stopping.is_set():
                await self._commit(consumer)
                await self._pause(EVERY_SECONDS)
        finally:
            with contextlib.suppress(TimeoutError, KafkaError, OSError):
                await asyncio.wait_for(consumer.stop(), 5)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        now = time.monotonic()
        due = {}
        for place, offset in self._latest.items():
            known, at = self._committed.get(place, (-1, 0.0))
            if known != offset or now - at > REFRESH_SECONDS:
                due[place] = offset
        if not due:
            return
        assigned = consumer.assignment()
        if not set(self._latest) <= assigned:
            consumer.assign(list(self._latest))
            consumer.pause(*self._latest)
        offsets = {place: OffsetAndMetadata(offset, "") for place, offset in due.items()}
        await asyncio.wait_for(consumer.commit(offsets), 5)
        self._committed |= {place: (offset, now) for place, offset in due.items()}

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
