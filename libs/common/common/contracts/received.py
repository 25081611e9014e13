"""usage.received: envelopes, each up to 1 MiB of events of one node, or of sources of one shard.

A value is a 4-byte little-endian length, an index in msgpack, and the client's bytes untouched.
The API makes the index when it validates, so the deduper pays by the envelope and parses no JSON.

Key: the node of a batch, or one of the sources, which all lie in its shard (the ledger relies on
it: copies of an identity take turns by the shard of their source). Headers: `count`
(elements in it, for the accounting; 0 for a replay, whose element was counted before),
traceparent.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import Final, overload

import msgspec

from common.bus.types import Message, Record
from common.contracts.topics import shard_of
from common.contracts.wire import UnknownVersion

VERSION: Final = 1
IDENTITY_BYTES: Final = 16
DIGEST_BYTES: Final = 8
DAY_MS: Final = 86_400_000
COUNT_HEADER: Final = "count"

_INT32: Final = struct.Struct("<i")
_UINT32: Final = struct.Struct("<I")

STAMPED: Final = 1
"""The event's time is not the client's but a receipt: here, or at the collector it came by."""
NODE_MADE: Final = 2
"""The event is identified by its place in the node's sequence, not by (source, id)."""


class ReceivedEvent(msgspec.Struct, frozen=True, gc=False):
    """A valid event of an envelope.

    `identity`: 16 bytes of (source, id). `digest`: 8 bytes of its content. `day`: UTC days since
    1970 of its time. `shard`: of tenant and source, it decides the partition in usage.events.
    `place`: index in the request's body. `raw`: the client's bytes.
    """

    identity: bytes
    digest: bytes
    day: int
    shard: int
    place: int
    flags: int
    raw: bytes

    @property
    def is_stamped(self) -> bool:
        return bool(self.flags & STAMPED)

    @property
    def is_node_made(self) -> bool:
        return bool(self.flags & NODE_MADE)


class EventColumns(Sequence[ReceivedEvent]):
    """The events of a decoded envelope, as the columns they came in: an event is made when it is
    asked for. Columns are packed as in the index; event `i` is `value[bounds[i] : bounds[i + 1]]`.
    """

    __slots__ = ("bounds", "days", "digests", "flags", "identities", "places", "shards", "value")

    def __init__(
        self,
        *,
        value: bytes,
        bounds: Sequence[int],
        identities: bytes,
        digests: bytes,
        days: bytes,
        shards: bytes,
        flags: bytes,
        places: bytes,
    ) -> None:
        self.value, self.bounds = value, bounds
        self.identities, self.digests, self.days = identities, digests, days
        self.shards, self.flags, self.places = shards, flags, places

    @classmethod
    def of(cls, events: Sequence[ReceivedEvent]) -> "EventColumns":
        """The columns of `events`, with a value of their bytes alone."""
        if isinstance(events, EventColumns):
            return events
        n = len(events)
        return cls(
            value=b"".join([event.raw for event in events]),
            bounds=list(accumulate([len(event.raw) for event in events], initial=0)),
            identities=b"".join([event.identity for event in events]),
            digests=b"".join([event.digest for event in events]),
            days=struct.pack(f"<{n}i", *[event.day for event in events]),
            shards=bytes([event.shard for event in events]),
            flags=bytes([event.flags for event in events]),
            places=struct.pack(f"<{n}I", *[event.place for event in events]),
        )

    def __len__(self) -> int:
        return len(self.flags)

    @overload
    def __getitem__(self, at: int) -> ReceivedEvent: ...
    @overload
    def __getitem__(self, at: slice) -> list[ReceivedEvent]: ...
    def __getitem__(self, at: int | slice) -> ReceivedEvent | list[ReceivedEvent]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self.flags))[at]
        return ReceivedEvent(
            self.identities[at * IDENTITY_BYTES : (at + 1) * IDENTITY_BYTES],
            self.digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES],
            _INT32.unpack_from(self.days, at * 4)[0],
            self.shards[at],
            _UINT32.unpack_from(self.places, at * 4)[0],
            self.flags[at],
            self.raw(at),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def raw(self, at: int) -> bytes:
        """The client's bytes of event `at`."""
        return self.value[self.bounds[at] : self.bounds[at + 1]]

    def raws(self) -> list[bytes]:
        """The client's bytes of all events."""
        return [self.value[first:end] for first, end in pairwise(self.bounds)]


class ReceivedReject(msgspec.Struct, frozen=True, gc=False):
    """An element that is to be parked. `raw` is only its beginning if `truncated`."""

    place: int
    id: str | None
    source: str | None
    code: str
    message: str
    truncated: bool
    raw: bytes


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Which batch of a node the elements belong to: element `place` has sequence number
    `first_seq` + place. `sealed_through_ms` (Unix milliseconds) comes with the last envelope of a
    request: everything the node saw before it has been sent."""

    node: str
    epoch: str
    first_seq: int
    sealed_through_ms: int | None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One record of usage.received.

    `key`: the record's key. `received_at_ms`: the API's clock, the time of events without one.
    `replay_of`: the dead event that this envelope brings back.
    """

    key: str
    received_at_ms: int
    events: Sequence[ReceivedEvent] = ()
    rejects: Sequence[ReceivedReject] = ()
    batch: Batch | None = None
    replay_of: int | None = None

    @property
    def count(self) -> int:
        """Elements that this envelope adds to what was received."""
        return 0 if self.replay_of is not None else len(self.events) + len(self.rejects)

    def elements(self) -> Iterator[ReceivedEvent | ReceivedReject]:
        """Events and rejects in the order of the request."""
        if not self.rejects:
            return iter(self.events)
        both: list[ReceivedEvent | ReceivedReject] = [*self.events, *self.rejects]
        return iter(sorted(both, key=lambda element: element.place))


class _Reject(msgspec.Struct, array_like=True):
    place: int
    id: str | None
    source: str | None
    code: str
    message: str
    truncated: bool
    length: int


class _Index(msgspec.Struct, array_like=True):
    """Columns of the events, packed: the bytes of identities and digests, int32 days, a byte of
    shard and of flags, uint32 places and lengths of the raw bytes, which follow in this order."""

    v: int
    key: str
    received_at_ms: int
    identities: bytes
    digests: bytes
    days: bytes
    shards: bytes
    flags: bytes
    places: bytes
    lengths: bytes
    rejects: list[_Reject]
    batch: Batch | None
    replay_of: int | None


def identity_of(source: str, event_id: str) -> bytes:
    """The 16 bytes that stand for (source, id). Neither may hold NUL, which separates them."""
    hashing = _source_hash(source).copy()
    hashing.update(event_id.encode())
    return hashing.digest()


@lru_cache(maxsize=4096)
def _source_hash(source: str) -> blake2b:
    """The hash of a source and the NUL after it, to go on from."""
    return blake2b(f"{source}\0".encode(), digest_size=IDENTITY_BYTES)


@lru_cache(maxsize=16_384)
def event_shard(subject: str, source: str) -> int:
    """The shard of an event in usage.events: its partition is the shard modulo their count."""
    return shard_of(f"{subject}\0{source}")


def envelope_record(envelope: Envelope, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    """`envelope` as a record; `headers` go along (traceparent)."""
    events, rejects = envelope.events, envelope.rejects
    n = len(events)
    index = msgspec.msgpack.encode(
        _Index(
            v=VERSION,
            key=envelope.key,
            received_at_ms=envelope.received_at_ms,
            identities=b"".join([event.identity for event in events]),
            digests=b"".join([event.digest for event in events]),
            days=struct.pack(f"<{n}i", *[event.day for event in events]),
            shards=bytes([event.shard for event in events]),
            flags=bytes([event.flags for event in events]),
            places=struct.pack(f"<{n}I", *[event.place for event in events]),
            lengths=struct.pack(f"<{n}I", *[len(event.raw) for event in events]),
            rejects=[
                _Reject(r.place, r.id, r.source, r.code, r.message, r.truncated, len(r.raw))
                for r in rejects
            ],
            batch=envelope.batch,
            replay_of=envelope.replay_of,
        )
    )
    parts = [struct.pack("<I", len(index)), index]
    parts += [event.raw for event in events]
    parts += [reject.raw for reject in rejects]
    count = (COUNT_HEADER, b"%d" % envelope.count)
    return Record(key=envelope.key.encode(), value=b"".join(parts), headers=(count, *headers))


def decode_envelope(value: bytes) -> Envelope:
    """The envelope in a record's value.

    Raises `UnknownVersion` for one from the future, and `ValueError` for what is no envelope.
    """
    if len(value) < 4:
        raise ValueError("an envelope begins with the length of its index")
    at = 4 + int.from_bytes(value[:4], "little")
    try:
        index = msgspec.msgpack.decode(value[4:at], type=_Index)
    except msgspec.MsgspecError as error:
        raise _not_this_version(value[4:at], error) from error
    if index.v != VERSION:
        raise UnknownVersion(f"envelope version {index.v} is not known here")
    events, at = _unpack_events(index, value, at)
    rejects = []
    for r in index.rejects:
        raw = value[at : at + r.length]
        at += r.length
        rejects.append(ReceivedReject(r.place, r.id, r.source, r.code, r.message, r.truncated, raw))
    if at != len(value):
        raise ValueError(f"the index covers {at} bytes of {len(value)}")
    return Envelope(
        key=index.key,
        received_at_ms=index.received_at_ms,
        events=events,
        rejects=rejects,
        batch=index.batch,
        replay_of=index.replay_of,
    )


def count_of(message: Message) -> int:
    """How many elements a message adds to what was received; 0 for control records."""
    header = message.header(COUNT_HEADER)
    return int(header) if header is not None and header.isdigit() else 0


def _unpack_events(index: _Index, value: bytes, at: int) -> tuple[EventColumns, int]:
    n = len(index.flags)
    sizes = [len(column) for column in (index.identities, index.digests, index.shards)]
    sizes += [len(column) for column in (index.days, index.places, index.lengths)]
    if sizes != [n * IDENTITY_BYTES, n * DIGEST_BYTES, n, n * 4, n * 4, n * 4]:
        raise ValueError("the columns of the index differ in length")
    bounds = list(accumulate(struct.unpack(f"<{n}I", index.lengths), initial=at))
    events = EventColumns(
        value=value,
        bounds=bounds,
        identities=index.identities,
        digests=index.digests,
        days=index.days,
        shards=index.shards,
        flags=index.flags,
        places=index.places,
    )
    return events, bounds[-1]


def _not_this_version(index: bytes, error: Exception) -> Exception:
    try:
        version = msgspec.msgpack.decode(index)[0]
    except (msgspec.MsgspecError, IndexError, TypeError, KeyError):
        version = None
    if isinstance(version, int) and version > VERSION:
        return UnknownVersion(f"envelope version {version} is not known here")
    return ValueError(f"not an envelope: {error}")
