"""What a step decides: counted, duplicate, parked; and that deciding again gives the same."""

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.bus.types import Message
from common.contracts.received import (
    NODE_MADE,
    STAMPED,
    Batch,
    Envelope,
    ReceivedEvent,
    ReceivedReject,
)
from common.contracts.topics import shard_of
from ingest import dedupe
from ingest.decode import arrival_of
from ingest.dedupe import (
    Arrival,
    Places,
    Tally,
    claims,
    decide,
    decided_fresh,
    decided_places,
    first_replays,
    raws_by_output,
)
from ingest.ledger import Verdict
from ingest.packed.columns import columns_of
from ingest.sequence import Place

RAW = json.dumps({"source": "app", "id": "1", "type": "t", "subject": "acme"}).encode()
BATCH = Batch("edge-1", "e", 5, None)


def event(place: int, identity: bytes = b"i", *, flags: int = 0, shard: int = 3) -> ReceivedEvent:
    return ReceivedEvent(identity.ljust(16), b"d" * 8, 20_000, shard, place, flags, RAW)


def reject(place: int) -> ReceivedReject:
    return ReceivedReject(place, None, None, "invalid_json", "not JSON", False, b"{")


def arrival(offset: int = 9, **fields: object) -> Arrival:
    envelope = Envelope(key="app", received_at_ms=77, **fields)  # type: ignore[arg-type]
    return Arrival(offset, 78, envelope)


def decided(
    arrivals: Sequence[Arrival], places: Sequence[Places], *judged: Verdict
) -> dedupe.Decision:
    """The decision when the ledger gives the verdicts `judged`."""
    return decide(arrivals, places, claims(arrivals, places), judged)


def test_fresh_events_are_counted_and_bad_elements_parked() -> None:
    arrivals = [arrival(events=[event(0), event(2)], rejects=[reject(1)])]
    decision = decided(arrivals, [None], Verdict.FRESH, Verdict.DUPLICATE)
    assert decision.tally == Tally(received=3, counted=1, duplicates=1, parked=1)
    assert decision.fresh == [[0]]
    (dead,) = decision.dead
    assert (dead.offset, dead.place, dead.code, dead.raw) == (9, 1, "invalid_json", b"{")


def test_a_conflict_is_parked_with_its_identity() -> None:
    decision = decided([arrival(events=[event(0)])], [None], Verdict.CONFLICT)
    assert decision.tally == Tally(received=1, parked=1)
    (dead,) = decision.dead
    assert (dead.code, dead.source, dead.event_id) == ("identity_conflict", "app", "1")


def test_only_apps_events_of_a_batch_are_claimed_and_only_new_ones() -> None:
    own = event(0, flags=NODE_MADE)
    arrivals = [arrival(events=[own, event(1), event(2)], batch=BATCH)]
    places = [[Place.NEW, Place.NEW, Place.TAKEN]]
    assert [claim.number for claim in claims(arrivals, places)] == [1]
    decision = decided(arrivals, places, Verdict.DUPLICATE)
    assert decision.tally == Tally(received=3, counted=1, duplicates=2)
    assert decision.fresh == [[0]]


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
    decision = decided(arrivals, [[Place.TAKEN, Place.TAKEN]])
    assert decision.tally == Tally(received=2, duplicates=2)
    assert decision.dead == []


def test_the_same_sequence_number_with_other_content_is_parked() -> None:
    arrivals = [arrival(events=[event(1)], rejects=[reject(0)], batch=BATCH)]
    decision = decided(arrivals, [[Place.CONFLICT, Place.CONFLICT]])
    assert decision.tally == Tally(received=2, parked=2)
    assert {(d.code, d.seq) for d in decision.dead} == {
        ("sequence_conflict", 5),
        ("sequence_conflict", 6),
    }


def test_a_replay_changes_sides_and_adds_nothing() -> None:
    replay = [arrival(events=[event(0)], replay_of=3)]
    decision = decided(replay, [None], Verdict.FRESH)
    assert decision.tally == Tally(counted=1, parked=-1)
    assert decision.replays == {3: "replayed"}
    decision = decided(replay, [None], Verdict.DUPLICATE)
    assert decision.tally == Tally(duplicates=1, parked=-1)
    assert decision.replays == {3: "duplicate"}
    decision = decided(replay, [None], Verdict.CONFLICT)
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
    assert len(claims([closed], [None])) == 0
    decision = decided([closed], [None])
    assert (decision.tally, decision.replays, decision.fresh) == (Tally(), {}, [[]])


def test_a_takeover_finds_the_same_events_fresh() -> None:
    own, new, old = event(0, flags=NODE_MADE), event(1), event(2)
    batch = arrival(9, events=[own, new, old], rejects=[reject(3)], batch=BATCH)
    places = [[Place.NEW, Place.NEW, Place.TAKEN, Place.NEW]]
    decision = decided([batch], places, Verdict.FRESH)
    again = decided_places(batch, [(5, 6), (8, 8)])
    assert again == places[0]
    assert decided_fresh(batch, again, {1}) == decision.fresh[0]
    plain = arrival(10, events=[new, old])
    assert decided_fresh(plain, decided_places(plain, []), {1}) == [1]


def test_what_is_no_envelope_is_parked_as_often_as_it_counts() -> None:
    message = Message("t", 0, 4, 99, True, b"k", b"junk", (("count", b"3"),))
    decision = decided([arrival_of(message)], [None])
    assert decision.tally == Tally(received=3, parked=3)
    assert {d.code for d in decision.dead} == {"unreadable_envelope"}


@st.composite
def steps(draw: Any) -> tuple[list[Arrival], list[Places]]:
    """Envelopes of all kinds, most of them with nothing special about them."""
    arrivals: list[Arrival] = []
    places: list[Places] = []
    for offset in range(draw(st.integers(0, 5))):
        batch = draw(st.sampled_from([None, None, BATCH]))
        flags = st.sampled_from([0, STAMPED] if batch is None else [NODE_MADE, NODE_MADE, 0])
        size = draw(st.integers(0, 5))
        bad = draw(st.sampled_from([set(), set(), {0}]))
        events = [event(n, flags=draw(flags)) for n in range(size) if n not in bad]
        rejects = [reject(n) for n in range(size) if n in bad]
        arrivals.append(arrival(offset, events=events, rejects=rejects, batch=batch))
        kinds = st.sampled_from([Place.NEW] * 6 + list(Place))
        places.append(None if batch is None else [draw(kinds) for _ in range(size)])
    return arrivals, places


@given(steps(), st.data())
def test_plain_envelopes_are_decided_as_all_others(
    step: tuple[list[Arrival], list[Places]], data: Any
) -> None:
    arrivals, places = step
    asked = claims(arrivals, places)
    kinds = st.sampled_from([Verdict.FRESH] * 6 + list(Verdict))
    judged = [data.draw(kinds) for _ in asked]
    decision = decide(arrivals, places, asked, judged)
    with patch.object(dedupe, "is_plain", lambda *_: False):
        slow = decide(arrivals, places, asked, judged)
    assert (decision.tally, decision.dead) == (slow.tally, slow.dead)
    assert [list(numbers) for numbers in decision.fresh] == slow.fresh


@given(steps())
def test_claims_name_the_events_they_are_about(step: tuple[list[Arrival], list[Places]]) -> None:
    arrivals, places = step
    asked = claims(arrivals, places)
    by_offset = {a.offset: a for a in arrivals}
    for claim in asked:
        about = by_offset[claim.offset].envelope.events[claim.number]
        assert claim[:3] == (about.day, about.identity, about.digest)
        assert (claim.stamped, claim.shard) == (about.is_stamped, shard_of("app"))
        assert not about.is_node_made
    for one, (first, end) in zip(arrivals, asked.spans, strict=True):
        assert {claim.offset for claim in asked[first:end]} <= {one.offset}
    columns, tuples = columns_of(asked, 3, 16), columns_of(list(asked), 3, 16) if asked else None
    if tuples is not None:
        flat = zip((*columns.rows, *columns[1:]), (*tuples.rows, *tuples[1:]), strict=True)
        assert all((a == b).all() for a, b in flat)


@given(st.lists(st.integers(0, 255), max_size=6), st.data())
def test_fresh_events_go_to_the_partitions_of_their_shards(shards: list[int], data: Any) -> None:
    events = [
        msgspec.structs.replace(event(n, shard=shard), raw=b"%d" % n)
        for n, shard in enumerate(shards)
    ]
    numbers = [n for n in range(len(shards)) if data.draw(st.booleans())]
    expected: dict[int, list[bytes]] = {}
    for n in numbers:
        expected.setdefault(shards[n] % 4, []).append(b"%d" % n)
    assert raws_by_output(events, numbers, 4) == expected
