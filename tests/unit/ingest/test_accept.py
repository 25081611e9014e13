"""A request's elements become envelopes: nothing is lost on the way, and nothing is changed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from common.contracts.received import DAY_MS, Envelope, event_shard, identity_of
from common.contracts.topics import shard_of
from common.events import parse_time_ms
from ingest import accept
from ingest.accept import Acceptance, Frame

NOW = parse_time_ms("2026-03-10T12:00:00Z")
FRAME = Frame("edge-1", "e", 5, NOW - 1000)


def event(event_id: str = "1", source: str = "app", **more: Any) -> bytes:
    fields = {"id": event_id, "source": source, "type": "t", "subject": "acme"}
    return json.dumps(fields | {"time": "2026-03-09T23:59:59Z"} | more).encode()


def accepted(raws: list[bytes], frame: Frame | None = None) -> tuple[Acceptance, list[Envelope]]:
    acceptance = Acceptance(NOW, frame)
    for place, raw in enumerate(raws):
        acceptance.add(place, raw)
    return acceptance, list(acceptance.envelopes())


def test_events_travel_by_source_with_their_index() -> None:
    raws = [event("1"), event("2", source="other"), event("3")]
    acceptance, envelopes = accepted(raws)
    assert acceptance.accepted == 3
    assert [(e.key, [x.place for x in e.events]) for e in envelopes] == [
        ("app", [0, 2]),
        ("other", [1]),
    ]
    first = envelopes[0].events[0]
    assert first.raw == raws[0]
    assert first.identity == identity_of("app", "1")
    assert first.shard == event_shard("acme", "app")
    assert first.day == parse_time_ms("2026-03-09T00:00:00Z") // DAY_MS
    assert not first.is_stamped
    assert not first.is_node_made


def test_many_sources_travel_in_few_envelopes() -> None:
    raws = [event("1", source=f"device-{n}") for n in range(2000)]
    _, envelopes = accepted(raws)
    assert len(envelopes) <= 256
    for envelope in envelopes:
        sources = {json.loads(x.raw)["source"] for x in envelope.events}
        assert {shard_of(source) for source in sources} == {shard_of(envelope.key)}


def test_an_event_without_time_happens_at_its_receipt() -> None:
    _, (envelope,) = accepted([event(time=None)])
    assert envelope.events[0].is_stamped
    assert envelope.events[0].day == NOW // DAY_MS
    assert envelope.received_at_ms == NOW


def test_bad_elements_travel_too() -> None:
    acceptance, envelopes = accepted([b"{", event("1"), event("2", subject=5)])
    assert acceptance.accepted == 1
    assert [r.index for r in acceptance.rejections] == [0, 2]
    rejects = {r.place: (e.key, r.code, r.id) for e in envelopes for r in e.rejects}
    assert rejects == {0: ("", "invalid_json", None), 2: ("app", "invalid_field", "2")}


def test_a_batch_travels_whole_under_its_node() -> None:
    raws = [event("e-5", source="edge-1/nginx"), b"{", event("77"), event("e-8", source="edge-1")]
    _, (envelope,) = accepted(raws, FRAME)
    assert envelope.key == "edge-1"
    assert envelope.batch is not None
    assert envelope.batch.sealed_through_ms == FRAME.sealed_through_ms
    assert [e.place for e in envelope.elements()] == [0, 1, 2, 3]
    assert [e.is_node_made for e in envelope.events] == [True, False, True]


def test_only_an_event_in_its_own_place_is_the_nodes() -> None:
    strangers = [
        event("e-6", source="edge-1"),  # another number
        event("x-6", source="edge-1"),  # another epoch
        event("e-7", source="edge-10"),  # another node, whose name begins alike
    ]
    _, (envelope,) = accepted(strangers, FRAME)
    assert not any(e.is_node_made for e in envelope.events)


def test_an_empty_batch_still_seals() -> None:
    _, (envelope,) = accepted([], FRAME)
    assert envelope.count == 0
    assert envelope.batch is not None
    assert envelope.batch.sealed_through_ms == FRAME.sealed_through_ms


def test_nothing_makes_nothing() -> None:
    assert accepted([])[1] == []


def test_large_requests_are_split_and_only_the_last_part_seals() -> None:
    raws = [event(f"e-{5 + n}", source="edge-1", data="x" * 400_000) for n in range(6)]
    _, envelopes = accepted(raws, FRAME)
    assert len(envelopes) == 3
    assert all(sum(len(x.raw) for x in e.events) <= accept.ENVELOPE_BYTES for e in envelopes)
    seals = [e.batch.sealed_through_ms for e in envelopes if e.batch]
    assert seals == [None, None, FRAME.sealed_through_ms]
    assert [x.place for e in envelopes for x in e.elements()] == list(range(6))
    assert all(x.is_node_made for e in envelopes for x in e.events)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=10),
            st.builds(event, st.text("ab", max_size=2), st.sampled_from(["app", "b"])),
        ),
        max_size=20,
    ),
    st.sampled_from([None, FRAME]),
)
def test_every_element_is_in_exactly_one_envelope(raws: list[bytes], frame: Frame | None) -> None:
    acceptance, envelopes = accepted(raws, frame)
    elements = [x for e in envelopes for x in e.elements()]
    assert sorted((x.place, x.raw) for x in elements) == list(enumerate(raws))
    assert sum(e.count for e in envelopes) == len(raws)
    assert acceptance.accepted + len(acceptance.rejections) == len(raws)
