"""Envelopes of usage.received and records of usage.events."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.types import Message, Record
from common.contracts import events, received
from common.contracts.received import Batch, Envelope, ReceivedEvent, ReceivedReject
from common.contracts.topics import partition_for
from common.contracts.wire import UnknownVersion
from common.stream.position import origin_header

RAW = b'{"id":"1","source":"app","type":"t","subject":"acme","data":{"n":1.10,"i":3}}'

event_values = st.builds(
    ReceivedEvent,
    identity=st.binary(min_size=16, max_size=16),
    digest=st.binary(min_size=8, max_size=8),
    day=st.integers(-(2**31), 2**31 - 1),
    shard=st.integers(0, 255),
    place=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 3),
    raw=st.binary(max_size=50),
)
reject_values = st.builds(
    ReceivedReject,
    place=st.integers(0, 2**32 - 1),
    id=st.none() | st.text(max_size=5),
    source=st.none() | st.text(max_size=5),
    code=st.just("invalid_json"),
    message=st.text(max_size=5),
    truncated=st.booleans(),
    raw=st.binary(max_size=50),
)
envelopes = st.builds(
    Envelope,
    key=st.text(max_size=10),
    received_at_ms=st.integers(0, 2**53),
    events=st.lists(event_values, max_size=5),
    rejects=st.lists(reject_values, max_size=3),
    batch=st.none() | st.builds(Batch, st.text(), st.text(), st.integers(1, 2**53), st.none()),
    replay_of=st.none() | st.integers(1, 2**60),
)


def message(record: Record) -> Message:
    return Message("t", 0, 0, 77, True, record.key, record.value, record.headers)


@given(envelopes)
def test_an_envelope_comes_back_as_it_was(envelope: Envelope) -> None:
    record = received.envelope_record(envelope)
    assert received.decode_envelope(record.value or b"") == envelope
    assert received.count_of(message(record)) == envelope.count


def test_the_clients_bytes_stand_untouched_behind_the_index() -> None:
    event = ReceivedEvent(bytes(16), bytes(8), 20_000, 7, 0, 0, RAW)
    record = received.envelope_record(
        Envelope(key="app", received_at_ms=1, events=[event, event]), (("traceparent", b"x"),)
    )
    assert record.value is not None
    assert record.value.endswith(RAW + RAW)
    assert record.key == b"app"
    assert dict(record.headers) == {"count": b"2", "traceparent": b"x"}


def test_a_replay_adds_nothing_to_what_was_received() -> None:
    event = ReceivedEvent(bytes(16), bytes(8), 20_000, 7, 0, 0, RAW)
    envelope = Envelope(key="app", received_at_ms=1, events=[event], replay_of=5)
    assert received.count_of(message(received.envelope_record(envelope))) == 0


def test_elements_come_in_the_order_of_the_request() -> None:
    def event(place: int) -> ReceivedEvent:
        return ReceivedEvent(bytes(16), bytes(8), 0, 0, place, 0, RAW)

    reject = ReceivedReject(1, None, None, "invalid_json", "", False, b"x")
    envelope = Envelope(key="", received_at_ms=1, events=[event(0), event(2)], rejects=[reject])
    assert [element.place for element in envelope.elements()] == [0, 1, 2]


def test_an_unknown_version_stops_the_reader() -> None:
    for fields in ([2, "key"], [2] + [None] * 12):
        index = msgspec.msgpack.encode(fields)
        value = len(index).to_bytes(4, "little") + index
        with pytest.raises(UnknownVersion):
            received.decode_envelope(value)


@given(st.binary(max_size=60))
def test_what_is_no_envelope_is_a_value_error(value: bytes) -> None:
    whole = received.envelope_record(Envelope(key="a", received_at_ms=1)).value or b""
    for broken in (value, whole + b"x" + value, whole[:-1]):
        with pytest.raises((ValueError, UnknownVersion)):
            received.decode_envelope(broken)


def test_identities_do_not_run_into_each_other() -> None:
    assert received.identity_of("a", "bc") != received.identity_of("ab", "c")
    assert len(received.identity_of("a", "b")) == received.IDENTITY_BYTES


def test_the_shard_decides_the_partition() -> None:
    assert received.event_shard("acme", "app") % 4 == partition_for("acme\0app", 4)


def test_a_record_of_events_holds_them_as_an_array() -> None:
    record = events.events_record(
        "app", [RAW, RAW], origin=origin_header(3, 17), stamped_at_ms=5, traceparent=b"00-a"
    )
    assert record.value == b"[" + RAW + b"," + RAW + b"]"
    first, second = events.decode_events(message(record))
    assert first == second
    assert first.data == {"n": Decimal("1.10"), "i": 3}
    assert dict(record.headers)["origin"] == b"3:17"
    assert events.time_ms(first, events.stamped_at_ms(message(record))) == 5


def test_an_events_own_time_goes_before_the_stamp() -> None:
    event = events.CloudEvent("s", "1", "t", "acme", "1970-01-01T00:00:01Z")
    assert events.time_ms(event, 5) == 1000
