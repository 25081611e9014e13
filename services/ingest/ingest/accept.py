"""What a request holds becomes envelopes. Pure.

Every element gets into an envelope, bad ones too: they are durable and part of the accounting.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from common.contracts.received import (
    DAY_MS,
    NODE_MADE,
    STAMPED,
    Batch,
    Envelope,
    ReceivedEvent,
    ReceivedReject,
    event_shard,
    identity_of,
)
from common.contracts.topics import shard_of
from common.events import Rejection, ValidEvent, validate

ENVELOPE_BYTES: Final = 1024 * 1024
"""Bytes of events in an envelope; the first event of one may be as long by itself."""
ENVELOPE_ELEMENTS: Final = 10_000


_shards = lru_cache(maxsize=4096)(shard_of)


class Frame(msgspec.Struct, frozen=True):
    """Around a node's events: who sends them and where they stand in its sequence."""

    node: str
    epoch: str
    first_seq: int
    sealed_through_ms: int | None


class _Group:
    """The envelope under construction of one shard. `key`: the source that came first."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.events: list[ReceivedEvent] = []
        self.rejects: list[ReceivedReject] = []
        self.size = 0


class Acceptance:
    """Takes a request's elements one by one; then `envelopes` are what to append, in order.

    `now_ms`: when the request was received, Unix milliseconds. With a `frame`, all elements go
    under the node's key and keep their order; without, sources of one shard travel together, so
    that a body of many sources makes 256 streams of envelopes at the most.
    """

    def __init__(self, now_ms: int, frame: Frame | None = None) -> None:
        self.accepted = 0
        self.rejections: list[Rejection] = []
        self._now_ms, self._frame = now_ms, frame
        self._groups: dict[int, _Group] = {}
        self._sealed: list[Envelope] = []

    def add(self, place: int, raw: bytes) -> None:
        """Take the element at `place` of the request."""
        self.take(place, [validate(place, raw, self._now_ms)])

    def take(self, first: int, judged: Sequence[ValidEvent | Rejection]) -> None:
        """Take elements that were judged, the first of which stands at `first` in the request."""
        frame, now_ms = self._frame, self._now_ms
        for place, one in enumerate(judged, first):
            if one.__class__ is Rejection:
                assert isinstance(one, Rejection)
                self.rejections.append(one)
                self._group(one.source or "", len(one.raw)).rejects.append(_reject(one))
                continue
            assert isinstance(one, ValidEvent)
            self.accepted += 1
            node_made = frame is not None and is_node_made(frame, one.source, one.id, place)
            self._group(one.source, len(one.raw)).events.append(
                received_event(one, place, now_ms, NODE_MADE if node_made else 0)
            )

    def envelopes(self) -> Sequence[Envelope]:
        """All envelopes, those of a source in the order of its elements. Ends the acceptance."""
        for shard in list(self._groups):
            self._seal(shard)
        frame = self._frame
        if frame is not None:
            if not self._sealed:
                self._sealed.append(self._envelope(_Group(frame.node)))
            # Only the last one may say that everything has been sent.
            last = self._sealed[-1]
            batch = Batch(frame.node, frame.epoch, frame.first_seq, frame.sealed_through_ms)
            self._sealed[-1] = msgspec.structs.replace(last, batch=batch)
        return self._sealed

    def _group(self, source: str, size: int) -> _Group:
        """The group of an element of `size` bytes, with room for it."""
        key = source if self._frame is None else self._frame.node
        shard = _shards(key)
        group = self._groups.get(shard)
        if group is not None:
            full = len(group.events) + len(group.rejects) >= ENVELOPE_ELEMENTS
            if full or group.size + size > ENVELOPE_BYTES:
                self._seal(shard)
                group = None
        if group is None:
            group = self._groups[shard] = _Group(key)
        group.size += size
        return group

    def _seal(self, shard: int) -> None:
        self._sealed.append(self._envelope(self._groups.pop(shard)))

    def _envelope(self, group: _Group) -> Envelope:
        frame = self._frame
        return Envelope(
            key=group.key,
            received_at_ms=self._now_ms,
            events=group.events,
            rejects=group.rejects,
            batch=Batch(frame.node, frame.epoch, frame.first_seq, None) if frame else None,
        )


def is_node_made(frame: Frame, source: str, event_id: str, place: int) -> bool:
    """Whether an element is the node's own: from the node, and named by its place in the
    sequence. It needs no row in the ledger, because its place is its identity."""
    own = source == frame.node or source.startswith(f"{frame.node}/")
    return own and event_id == f"{frame.epoch}-{frame.first_seq + place}"


def received_event(event: ValidEvent, place: int, stamp_ms: int, flags: int = 0) -> ReceivedEvent:
    """`event` with what the deduper needs; one without time happened at `stamp_ms`."""
    at_ms = stamp_ms if event.time_ms is None else event.time_ms
    return ReceivedEvent(
        identity_of(event.source, event.id),
        event.digest,
        at_ms // DAY_MS,
        event_shard(event.subject, event.source),
        place,
        flags | STAMPED if event.is_stamped else flags,
        event.raw,
    )


def _reject(rejection: Rejection) -> ReceivedReject:
    return ReceivedReject(
        place=rejection.index,
        id=rejection.id,
        source=rejection.source,
        code=rejection.code,
        message=rejection.message,
        truncated=rejection.truncated,
        raw=rejection.raw,
    )
