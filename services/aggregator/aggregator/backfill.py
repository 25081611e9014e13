"""What Kafka still holds from before a meter existed, read in small chunks beside the live events.

A backfill folds [beginning, from_offset) of one shard into the meters that begin there, and the
live fold takes everything from `from_offset` on: together each event counts once. The chunk that
is read here is folded in the next step's transaction, which moves the backfill's position by
compare-and-set. Records that were emitted twice are dropped by the backfill's own `seen`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.fold import Timed
from aggregator.store.backfills import Backfill
from common.bus.types import Bus, Message, Reader
from common.contracts.control import is_control
from common.contracts.events import decode_events, stamped_at_ms
from common.contracts.topics import EVENTS
from common.events import parse_time_ms
from common.stream.position import ORIGIN_HEADER, parse_origin

READ_MESSAGES = 500


@dataclass(frozen=True)
class Chunk:
    """Events to fold next. `position` and `seen`: where the backfill stands after them."""

    events: list[Timed]
    position: int
    seen: dict[int, int]


class OriginFilter:
    """Drops the records that were emitted twice. `seen`: the highest offset met of each origin
    partition."""

    def __init__(self, seen: dict[int, int]) -> None:
        self.seen = seen

    def is_fresh(self, message: Message) -> bool:
        """Whether `message` holds events that have not passed yet; it has passed now."""
        if is_control(message):
            return False
        origin = message.header(ORIGIN_HEADER)
        if origin is None:
            return True
        partition, offset = parse_origin(origin)
        if offset <= self.seen.get(partition, -1):
            return False
        self.seen[partition] = offset
        return True


class BackfillReader:
    """Reads one backfill, ahead of the transaction by one chunk."""

    def __init__(self, bus: Bus, backfill: Backfill, chunk_events: int) -> None:
        self._bus, self._backfill, self._chunk_events = bus, backfill, chunk_events
        self._reader: Reader | None = None
        self._waiting: list[Message] = []
        self._position = backfill.position
        self._origins = OriginFilter(dict(backfill.seen))

    async def next_chunk(self) -> Chunk | None:
        """The next chunk, or None when the log gave nothing for the moment."""
        end = self._backfill.from_offset
        if self._reader is None:
            kept_from = await self._bus.beginning_offset(EVENTS.name, self._backfill.shard)
            self._position = min(end, max(self._position, kept_from))
            if self._position < end:
                self._reader = await self._bus.reader(
                    EVENTS.name, self._backfill.shard, self._position
                )
        events: list[Timed] = []
        while self._position < end and len(events) < self._chunk_events:
            if not self._waiting and self._reader is not None:
                self._waiting = await self._reader.read(READ_MESSAGES, 0.2)
                self._waiting.reverse()
            if not self._waiting:
                break
            message = self._waiting.pop()
            if message.offset >= end:
                self._position = end
                break
            self._position = message.offset + 1
            if self._origins.is_fresh(message):
                events += timed_events([message])
        if self._position == self._backfill.position and self._position < end:
            return None
        return Chunk(events, self._position, dict(self._origins.seen))

    def committed(self, backfill: Backfill) -> None:
        """The last chunk was committed; the backfill now stands where it ends."""
        self._backfill = backfill

    async def close(self) -> None:
        """Release the reader."""
        if self._reader is not None:
            await self._reader.close()


def timed_events(messages: Sequence[Message]) -> list[Timed]:
    """The events of records, each with its time and place."""
    timed: list[Timed] = []
    times = _Times()
    for message in messages:
        times[None] = stamped_at_ms(message)
        timed += [
            Timed(event, times[event.time], message.offset, item)
            for item, event in enumerate(decode_events(message))
        ]
    return timed


class _Times(dict[str | None, int]):
    """Unix milliseconds by text: the events of a busy second share a thousand texts."""

    def __missing__(self, text: str | None) -> int:
        made = self[text] = parse_time_ms(text or "")
        return made
