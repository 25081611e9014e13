"""The dictionary: what the clients' records in the log come to, worked out without the product's
ledger, folds and rows."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common.bus import Message
from common.bus.memory import MemoryBus
from common.contracts.control import is_control
from common.contracts.events import decode_event, decode_events, time_ms
from common.contracts.received import (
    Envelope,
    ReceivedEvent,
    ReceivedReject,
    count_of,
    decode_envelope,
    identity_of,
)
from common.contracts.topics import EVENTS, RECEIVED
from common.stream.position import ORIGIN_HEADER, parse_origin

PARTITIONS = 2
Origin = tuple[int, int]
"""Partition and offset in usage.received."""


class Elements:
    """How many elements the log of received envelopes holds, counted from its records."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._sums: dict[int, list[int]] = {p: [0] for p in range(PARTITIONS)}

    def below(self, partition: int, offset: int) -> int:
        """Elements in records below `offset`."""
        sums = self._sums[partition]
        if len(sums) <= offset:
            for message in self._bus.messages(RECEIVED.name, partition)[len(sums) - 1 :]:
                sums.append(sums[-1] + count_of(message))
        return sums[offset]

    def count(self) -> int:
        """All elements."""
        return sum(
            self.below(partition, len(self._bus.messages(RECEIVED.name, partition)))
            for partition in range(PARTITIONS)
        )


class Copy(NamedTuple):
    """An element in the log."""

    origin: Origin
    place: int
    element: ReceivedEvent | ReceivedReject
    received_at_ms: int
    appended_ms: int
    node: str | None = None
    epoch: str | None = None
    seq: int = 0
    dead_id: int | None = None


@dataclass(frozen=True)
class Counted:
    """An event that counts. `record`: its offset in partition `shard` of usage.events."""

    tenant: str
    type: str
    at_ms: int
    data: Any
    origin: Origin
    appended_ms: int
    shard: int
    record: int


@dataclass
class Truth:
    """`counted`: each event once. `parked`: {(origin, place): reason}. `duplicates`: how many."""

    counted: list[Counted] = field(default_factory=list)
    parked: dict[tuple[Origin, int], str] = field(default_factory=dict)
    replayed: dict[int, str] = field(default_factory=dict)
    duplicates: int = 0
    received: int = 0
    problems: list[str] = field(default_factory=list)


def find_truth(bus: MemoryBus) -> Truth:
    """What the log of received envelopes means, with the one choice that is free (which of
    several copies is the first, when they came by different ways) read from usage.events."""
    truth = Truth()
    emitted = _emitted(bus)
    groups: dict[Any, list[Copy]] = defaultdict(list)
    for partition in range(PARTITIONS):
        _sort_out(truth, groups, bus.messages(RECEIVED.name, partition))
    for copies in groups.values():
        _decide(truth, copies, emitted)
    for origin, identity in emitted:
        truth.problems.append(f"usage.events has {identity.hex()} of {origin} and should not")
    return truth


Emitted = dict[tuple[Origin, bytes], tuple[int, int, int]]
"""{(origin, identity): (output partition, offset, stamp)}"""


def _emitted(bus: MemoryBus) -> Emitted:
    """What a receiver of usage.events takes, who drops origins that it has seen."""
    found: Emitted = {}
    for shard in range(PARTITIONS):
        seen: dict[int, int] = {}
        for message in _data(bus.messages(EVENTS.name, shard)):
            origin = parse_origin(message.header(ORIGIN_HEADER) or b"")
            if origin[1] <= seen.get(origin[0], -1):
                continue
            seen[origin[0]] = origin[1]
            stamp = int(message.header("stamped_at") or b"0")
            for event in decode_events(message):
                key = (origin, identity_of(event.source, event.id))
                if key in found:
                    raise AssertionError(f"twice in one record: {event}")
                found[key] = (shard, message.offset, stamp)
    return found


def _sort_out(truth: Truth, groups: dict[Any, list[Copy]], messages: list[Message]) -> None:
    """Sort a partition's elements: what its sequence decides, and what its identity has to."""
    taken: dict[tuple[str, str, int], bytes] = {}
    replayed: set[int] = set()
    for message in _data(messages):
        envelope = decode_envelope(message.value or b"")
        if envelope.replay_of is not None:
            if envelope.replay_of not in replayed:
                replayed.add(envelope.replay_of)
                [copy] = _copies(message, envelope)
                groups[_group(copy.element)].append(copy._replace(dead_id=envelope.replay_of))
            continue
        for copy in _copies(message, envelope):
            truth.received += 1
            element = copy.element
            if copy.node is not None and copy.epoch is not None:
                digest = element.raw if isinstance(element, ReceivedReject) else element.digest
                known = taken.setdefault((copy.node, copy.epoch, copy.seq), digest)
                if known is not digest:
                    if known == digest:
                        truth.duplicates += 1
                    else:
                        truth.parked[copy.origin, copy.place] = "sequence_conflict"
                    continue
            if isinstance(element, ReceivedReject):
                truth.parked[copy.origin, copy.place] = element.code
            elif element.is_node_made:
                groups[copy.node, copy.epoch, copy.seq].append(copy)
            else:
                groups[_group(element)].append(copy)


def _copies(message: Message, envelope: Envelope) -> Iterator[Copy]:
    batch = envelope.batch
    for element in envelope.elements():
        yield Copy(
            origin=(message.partition, message.offset),
            place=element.place,
            element=element,
            received_at_ms=envelope.received_at_ms,
            appended_ms=message.timestamp_ms,
            node=batch.node if batch else None,
            epoch=batch.epoch if batch else None,
            seq=batch.first_seq + element.place if batch else 0,
        )


def _group(event: Any) -> Any:
    """What copies of one event have in common: for one that was stamped, whatever the day."""
    return event.identity, "stamped" if event.is_stamped else event.day


def _decide(truth: Truth, copies: list[Copy], emitted: Emitted) -> None:
    """Exactly one copy counts; those like it are duplicates, the others are parked."""
    keys = {(copy.origin, copy.element.identity): copy for copy in reversed(copies)}  # type: ignore[union-attr]
    chosen = [keys[key] for key in keys if key in emitted]
    one_way = len({copy.origin[0] for copy in copies}) == 1
    first = copies[0]
    if len(chosen) != 1:
        truth.problems.append(f"{len(chosen)} copies of {first.element.raw!r} count")
        for copy in chosen:
            emitted.pop((copy.origin, copy.element.identity), None)  # type: ignore[union-attr]
        return
    [winner] = chosen
    stamped = isinstance(first.element, ReceivedEvent) and first.element.is_stamped
    if one_way and not stamped and winner.origin != first.origin:
        truth.problems.append(f"{winner} counts, and {first} was first")
    shard, record, stamp = emitted.pop((winner.origin, winner.element.identity))  # type: ignore[union-attr]
    event = decode_event(winner.element.raw)
    truth.counted.append(
        Counted(
            tenant=event.subject,
            type=event.type,
            at_ms=time_ms(event, stamp),
            data=event.data,
            origin=winner.origin,
            appended_ms=winner.appended_ms,
            shard=shard,
            record=record,
        )
    )
    if stamp != winner.received_at_ms:
        truth.problems.append(f"{winner} was stamped {stamp}")
    for copy in copies:
        same = copy.element.digest == winner.element.digest  # type: ignore[union-attr]
        if copy.dead_id is not None:
            own = "replayed" if copy is winner else "duplicate" if same else "conflict"
            truth.replayed[copy.dead_id] = own
        elif copy is winner:
            continue
        elif same:
            truth.duplicates += 1
        else:
            truth.parked[copy.origin, copy.place] = "identity_conflict"


def _data(messages: list[Message]) -> Iterator[Message]:
    return (message for message in messages if not is_control(message))


def before(values: list[int], value: int) -> int:
    """How many of ascending `values` lie below `value`."""
    return bisect_left(values, value)
