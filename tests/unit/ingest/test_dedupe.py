"""What a step decides: counted, duplicate, parked; and that deciding again gives the same."""

import json

import msgspec

from common.bus.types import Message
from common.contracts.received import NODE_MADE, Batch, Envelope, ReceivedEvent, ReceivedReject
from common.contracts.topics import shard_of
from ingest.decode import arrival_of
from ingest.dedupe import (
    Arrival,
    Tally,
    claims,
    decide,
    decided_fresh,
    decided_places,
    first_replays,
)
from ingest.ledger import Verdict
from ingest.sequence import Place

RAW = json.dumps({"source": "app", "id": "1", "type": "t", "subject": "acme"}).encode()
BATCH = Batch("edge-1", "e", 5, None)


def event(place: int, identity: bytes = b"i", *, flags: int = 0) -> ReceivedEvent:
    return ReceivedEvent(identity, b"d", 20_000, 3, place, flags, RAW)


def reject(place: int) -> ReceivedReject:
    return ReceivedReject(place, None, None, "invalid_json", "not JSON", False, b"{")


def arrival(offset: int = 9, **fields: object) -> Arrival:
    envelope = Envelope(key="app", received_at_ms=77, **fields)  # type: ignore[arg-type]
    return Arrival(offset, 78, envelope)


def test_fresh_events_are_counted_and_bad_elements_parked() -> None:
    arrivals = [arrival(events=[event(0), event(2)], rejects=[reject(1)])]
    decision = decide(arrivals, [None], {(9, 0): Verdict.FRESH, (9, 1): Verdict.DUPLICATE})
    assert decision.tally == Tally(received=3, counted=1, duplicates=1, parked=1)
    assert decision.fresh == [[event(0)]]
    (dead,) = decision.dead
    assert (dead.offset, dead.place, dead.code, dead.raw) == (9, 1, "invalid_json", b"{")


def test_a_conflict_is_parked_with_its_identity() -> None:
    decision = decide([arrival(events=[event(0)])], [None], {(9, 0): Verdict.CONFLICT})
    assert decision.tally == Tally(received=1, parked=1)
    (dead,) = decision.dead
    assert (dead.code, dead.source, dead.event_id) == ("identity_conflict", "app", "1")


def test_only_apps_events_of_a_batch_are_claimed_and_only_new_ones() -> None:
    own = event(0, flags=NODE_MADE)
    arrivals = [arrival(events=[own, event(1), event(2)], batch=BATCH)]
    places = [[Place.NEW, Place.NEW, Place.TAKEN]]
    assert [claim.number for claim in claims(arrivals, places)] == [1]
    decision = decide(arrivals, places, {(9, 1): Verdict.DUPLICATE})
    assert decision.tally == Tally(received=3, counted=1, duplicates=2)
    assert decision.fresh == [[own]]


def test_a_claim_has_the_shard_of_its_source_whoever_brings_it() -> None:
    direct = arrival(events=[event(0)])
    by_node = arrival(events=[event(0)], batch=BATCH)
    by_node = msgspec.structs.replace(
        by_node, envelope=msgspec.structs.replace(by_node.envelope, key="edge-1")
    )
    found = claims([direct, by_node], [None, [Place.NEW]])
    assert [claim.shard for claim in found] == [shard_of("app")] * 2


def test_a_repeated_batch_does_not_park_its_bad_elements_again() -> None:
    arrivals = [arrival(rejects=[reject(0)], events=[event(1, flags=NODE_MADE)], batch=BATCH)]
    decision = decide(arrivals, [[Place.TAKEN, Place.TAKEN]], {})
    assert decision.tally == Tally(received=2, duplicates=2)
    assert decision.dead == []


def test_the_same_sequence_number_with_other_content_is_parked() -> None:
    arrivals = [arrival(events=[event(1)], rejects=[reject(0)], batch=BATCH)]
    decision = decide(arrivals, [[Place.CONFLICT, Place.CONFLICT]], {})
    assert decision.tally == Tally(received=2, parked=2)
    assert {(d.code, d.seq) for d in decision.dead} == {
        ("sequence_conflict", 5),
        ("sequence_conflict", 6),
    }


def test_a_replay_changes_sides_and_adds_nothing() -> None:
    replay = [arrival(events=[event(0)], replay_of=3)]
    decision = decide(replay, [None], {(9, 0): Verdict.FRESH})
    assert decision.tally == Tally(counted=1, parked=-1)
    assert decision.replays == {3: "replayed"}
    decision = decide(replay, [None], {(9, 0): Verdict.DUPLICATE})
    assert decision.tally == Tally(duplicates=1, parked=-1)
    assert decision.replays == {3: "duplicate"}
    decision = decide(replay, [None], {(9, 0): Verdict.CONFLICT})
    assert decision.tally == Tally()
    assert decision.replays == {3: "conflict"}


def test_a_replay_that_is_not_awaited_any_more_does_nothing() -> None:
    twice = [
        arrival(9, events=[event(0)], replay_of=3),
        arrival(10, events=[event(0)], replay_of=3),
    ]
    kept = first_replays(twice, {3})
    assert [len(a.envelope.events) for a in kept] == [1, 0]
    (closed,) = first_replays(twice[:1], set())
    assert claims([closed], [None]) == []
    decision = decide([closed], [None], {})
    assert (decision.tally, decision.replays, decision.fresh) == (Tally(), {}, [[]])


def test_a_takeover_finds_the_same_events_fresh() -> None:
    own, new, old = event(0, flags=NODE_MADE), event(1), event(2)
    batch = arrival(9, events=[own, new, old], rejects=[reject(3)], batch=BATCH)
    places = [[Place.NEW, Place.NEW, Place.TAKEN, Place.NEW]]
    decision = decide([batch], places, {(9, 1): Verdict.FRESH})
    again = decided_places(batch, [(5, 6), (8, 8)])
    assert again == places[0]
    assert decided_fresh(batch, again, {(9, 1)}) == decision.fresh[0]
    plain = arrival(10, events=[new, old])
    assert decided_fresh(plain, decided_places(plain, []), {(10, 1)}) == [old]


def test_what_is_no_envelope_is_parked_as_often_as_it_counts() -> None:
    message = Message("t", 0, 4, 99, True, b"k", b"junk", (("count", b"3"),))
    decision = decide([arrival_of(message)], [None], {})
    assert decision.tally == Tally(received=3, parked=3)
    assert {d.code for d in decision.dead} == {"unreadable_envelope"}
