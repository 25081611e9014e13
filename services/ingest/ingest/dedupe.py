"""What a step of the deduper decides about the envelopes it read. Pure.

`claims` says which events have to be judged by the ledger; `decide` puts the ledger's and the
sequences' verdicts together: what is counted, what is a duplicate, what is parked.
"""

from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from common.contracts.received import (
    DIGEST_BYTES,
    NODE_MADE,
    Envelope,
    EventColumns,
    ReceivedEvent,
    ReceivedReject,
    identity_of,
)
from common.contracts.topics import shard_of
from common.events import REASONS
from ingest.claims import Claims, Part
from ingest.ledger import Verdict
from ingest.sequence import Place


class Arrival(msgspec.Struct, frozen=True):
    """An envelope with its place in the log. `timestamp_ms`: the broker's time of it."""

    offset: int
    timestamp_ms: int
    envelope: Envelope
    traceparent: bytes | None = None


class _Named(msgspec.Struct):
    source: str
    id: str


_named: Final = msgspec.json.Decoder(_Named)
_shards: Final = lru_cache(maxsize=4096)(shard_of)


class DeadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An element that is parked. Its `offset` and `place` name it for ever."""

    offset: int
    place: int
    code: str
    message: str
    raw: bytes
    received_at_ms: int
    source: str | None = None
    event_id: str | None = None
    identity: bytes | None = None
    truncated: bool = False
    node: str | None = None
    epoch: str | None = None
    seq: int | None = None


class Tally(msgspec.Struct):
    """Elements by what became of them: received = counted + duplicates + parked."""

    received: int = 0
    counted: int = 0
    duplicates: int = 0
    parked: int = 0


class Decision(msgspec.Struct):
    """`fresh`: the numbers of the events to emit, ascending, by arrival. `replays`: the new state
    of dead events."""

    tally: Tally
    fresh: list[Sequence[int]]
    dead: list[DeadEvent]
    replays: dict[int, str]


Places = Sequence[Place] | None
"""What each element of a batch's envelope is, in the order of the request; None: no batch."""


def digests_of(envelope: Envelope) -> list[bytes]:
    """What tells two elements with one sequence number apart, in the order of the request."""
    if not envelope.rejects:
        digests = EventColumns.of(envelope.events).digests
        return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    return [
        element.digest
        if isinstance(element, ReceivedEvent)
        else blake2b(element.raw, digest_size=DIGEST_BYTES).digest()
        for element in envelope.elements()
    ]


def claims(arrivals: Sequence[Arrival], places: Sequence[Places]) -> Claims:
    """The events that the ledger has to judge, with a part for each arrival: new in their node's
    sequence, if they have one, and not identified by it."""
    return Claims([_claimed(arrival, what) for arrival, what in zip(arrivals, places, strict=True)])


def _claimed(arrival: Arrival, what: Places) -> Part:
    envelope = arrival.envelope
    events = EventColumns.of(envelope.events)
    if what is None and envelope.batch is None:
        # The sources of an envelope lie in its key's shard; in a batch the key is the node's.
        return Part(arrival.offset, events, None, _shards(envelope.key))
    if all(map(NODE_MADE.__and__, events.flags)):
        return Part(arrival.offset, events, (), 0)
    new = None if what is None else _new_places(envelope, what)
    numbers = [
        number
        for number, event in enumerate(events)
        if not event.is_node_made and (new is None or event.place in new)
    ]
    shards = [_shards(_named.decode(events.raw(number)).source) for number in numbers]
    return Part(arrival.offset, events, numbers, shards)


def first_replays(arrivals: Sequence[Arrival], replaying: set[int]) -> list[Arrival]:
    """`arrivals` without the events of replays that are not wanted: of dead events that are not
    being replayed any more, and of those replayed twice the later ones."""
    waiting = set(replaying)
    found = []
    for arrival in arrivals:
        replay_of = arrival.envelope.replay_of
        if replay_of is not None and replay_of not in waiting:
            envelope = msgspec.structs.replace(arrival.envelope, events=())
            arrival = msgspec.structs.replace(arrival, envelope=envelope)
        elif replay_of is not None:
            waiting.discard(replay_of)
        found.append(arrival)
    return found


def decide(
    arrivals: Sequence[Arrival],
    places: Sequence[Places],
    asked: Claims,
    judged: Sequence[Verdict],
) -> Decision:
    """The decision of a step. `judged`: the ledger's verdicts on what was `asked`."""
    decision = Decision(Tally(), [], [], {})
    for arrival, what, (first, end) in zip(arrivals, places, asked.spans, strict=True):
        verdicts = judged[first:end]
        if arrival.envelope.replay_of is not None:
            fresh: Sequence[int] = _decide_replay(decision, arrival, verdicts)
        elif is_plain(arrival, what, verdicts):
            fresh = _decide_plain(decision, arrival, verdicts)
        else:
            by_number = dict(zip(asked.numbers[first:end].tolist(), verdicts, strict=True))
            fresh = _decide_envelope(decision, arrival, what, by_number)
        decision.fresh.append(fresh)
    return decision


def is_plain(arrival: Arrival, what: Places, verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing is special about an envelope: it has nothing to park, and all its events
    have verdicts or all are new in their node's sequence and identified by it. Most are so, and
    are decided without looking at each event."""
    envelope = arrival.envelope
    if envelope.rejects or Verdict.CONFLICT in verdicts:
        return False
    if what is None:
        return len(verdicts) == len(envelope.events)
    return not verdicts and what.count(Place.NEW) == len(what)


def decided_places(arrival: Arrival, taken: Sequence[tuple[int, int]]) -> Places:
    """What the elements of an arrival were, when it was the first to bring the sequence numbers
    in the ranges `taken` (both ends included)."""
    batch = arrival.envelope.batch
    if batch is None:
        return None
    seqs = (batch.first_seq + element.place for element in arrival.envelope.elements())
    return [
        Place.NEW if any(first <= seq <= last for first, last in taken) else Place.TAKEN
        for seq in seqs
    ]


def decided_fresh(arrival: Arrival, what: Places, held: Container[int]) -> list[int]:
    """The numbers of the events of an arrival that were found fresh. `held`: the numbers of the
    claims whose origin the ledger holds."""
    new = None if what is None else _new_places(arrival.envelope, what)
    return [
        number
        for number, event in enumerate(arrival.envelope.events)
        if number in held or (event.is_node_made and new is not None and event.place in new)
    ]


def raws_by_output(
    events: Sequence[ReceivedEvent], numbers: Sequence[int], outputs: int
) -> dict[int, list[bytes]]:
    """The client's bytes of the events with the `numbers`, by their partition of `outputs`."""
    if not numbers:
        return {}
    columns = EventColumns.of(events)
    shards, raws = columns.shards, columns.raws()
    if len(numbers) < len(raws):
        raws = [raws[number] for number in numbers]
    if shards.count(shards[0]) == len(shards):
        return {shards[0] % outputs: raws}
    found: dict[int, list[bytes]] = {}
    for number, raw in zip(numbers, raws, strict=True):
        found.setdefault(shards[number] % outputs, []).append(raw)
    return found


def _decide_plain(
    decision: Decision, arrival: Arrival, verdicts: Sequence[Verdict]
) -> Sequence[int]:
    events = len(arrival.envelope.events)
    duplicates = verdicts.count(Verdict.DUPLICATE)
    decision.tally.received += events
    decision.tally.counted += events - duplicates
    decision.tally.duplicates += duplicates
    if not duplicates:
        return range(events)
    return [number for number, verdict in enumerate(verdicts) if verdict is Verdict.FRESH]


def _decide_envelope(
    decision: Decision,
    arrival: Arrival,
    what: Places,
    verdicts: Mapping[int, Verdict],
) -> list[int]:
    envelope, tally = arrival.envelope, decision.tally
    tally.received += envelope.count
    place_of = _places_by_number(envelope, what)
    fresh: list[int] = []
    for reject in envelope.rejects:
        if place_of.get(reject.place) is Place.TAKEN:
            tally.duplicates += 1
        else:
            _park(decision, arrival, reject, _sequence_reason(place_of.get(reject.place)))
    for number, event in enumerate(envelope.events):
        place = place_of.get(event.place, Place.NEW)
        verdict = verdicts.get(number, Verdict.FRESH)
        if place is Place.TAKEN or (place is Place.NEW and verdict is Verdict.DUPLICATE):
            tally.duplicates += 1
        elif place is not Place.NEW:
            _park(decision, arrival, event, _sequence_reason(place))
        elif verdict is Verdict.CONFLICT:
            _park(decision, arrival, event, "identity_conflict")
        else:
            tally.counted += 1
            fresh.append(number)
    return fresh


def _decide_replay(decision: Decision, arrival: Arrival, verdicts: Sequence[Verdict]) -> list[int]:
    """A dead event comes back: it was received and parked before, so it only changes sides."""
    envelope, tally = arrival.envelope, decision.tally
    if envelope.replay_of is None or not envelope.events:
        return []
    match verdicts[0]:
        case Verdict.FRESH:
            decision.replays[envelope.replay_of] = "replayed"
            tally.parked -= 1
            tally.counted += 1
            return [0]
        case Verdict.DUPLICATE:
            decision.replays[envelope.replay_of] = "duplicate"
            tally.parked -= 1
            tally.duplicates += 1
        case Verdict.CONFLICT:
            decision.replays[envelope.replay_of] = "conflict"
    return []


def _park(
    decision: Decision,
    arrival: Arrival,
    element: ReceivedEvent | ReceivedReject,
    reason: str | None,
) -> None:
    """Park `element` for `reason`; a reject has its own if there is none."""
    envelope, batch = arrival.envelope, arrival.envelope.batch
    if isinstance(element, ReceivedReject):
        source, event_id, truncated = element.source, element.id, element.truncated
        code, message = reason or element.code, "" if reason else element.message
    else:
        named = _named.decode(element.raw)
        source, event_id, truncated = named.source, named.id, False
        code, message = reason or "", ""
    decision.tally.parked += 1
    decision.dead.append(
        DeadEvent(
            offset=arrival.offset,
            place=element.place,
            code=code,
            message=message or REASONS[code],
            raw=element.raw,
            received_at_ms=envelope.received_at_ms,
            source=source,
            event_id=event_id,
            identity=identity_of(source, event_id) if source and event_id else None,
            truncated=truncated,
            node=batch.node if batch else None,
            epoch=batch.epoch if batch else None,
            seq=batch.first_seq + element.place if batch else None,
        )
    )


def _sequence_reason(place: Place | None) -> str | None:
    if place is Place.CONFLICT:
        return "sequence_conflict"
    return "too_many_gaps" if place is Place.TOO_MANY_GAPS else None


def _places_by_number(envelope: Envelope, what: Places) -> dict[int, Place]:
    if what is None:
        return {}
    return {e.place: place for e, place in zip(envelope.elements(), what, strict=True)}


def _new_places(envelope: Envelope, what: Sequence[Place]) -> set[int]:
    numbered = zip(envelope.elements(), what, strict=True)
    return {element.place for element, place in numbered if place is Place.NEW}
