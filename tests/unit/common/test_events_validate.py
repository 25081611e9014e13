"""Each element is a valid event, or a rejection with a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import REASONS, Rejection, ValidEvent, limits, parse_time_ms, validate

NOW = parse_time_ms("2026-03-10T12:00:00Z")
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "app",
    "type": "request",
    "subject": "acme",
    "time": "2026-03-10T11:59:00.5Z",
    "data": {"bytes": 12},
}


def raw(**changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (EVENT | changes).items() if v is not ...}).encode()


def valid(body: bytes) -> ValidEvent:
    event = validate(0, body, NOW)
    assert isinstance(event, ValidEvent), event
    return event


def rejected(body: bytes) -> Rejection:
    rejection = validate(7, body, NOW)
    assert isinstance(rejection, Rejection)
    assert rejection.index == 7
    assert rejection.code in REASONS
    return rejection


def test_an_ordinary_event() -> None:
    event = valid(raw())
    assert (event.source, event.id, event.type, event.subject) == ("app", "1", "request", "acme")
    assert event.time_ms == parse_time_ms("2026-03-10T11:59:00.500Z")
    assert event.raw == raw()


def test_an_event_without_time_is_left_to_be_stamped() -> None:
    assert valid(raw(time=...)).time_ms is None
    assert valid(raw(time=None)).time_ms is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": ...}, "missing_field"),
        ({"source": ...}, "missing_field"),
        ({"type": ...}, "missing_field"),
        ({"subject": ...}, "missing_field"),
        ({"id": 1}, "invalid_field"),
        ({"id": None}, "invalid_field"),
        ({"subject": ""}, "invalid_field"),
        ({"subject": "a" * 257}, "invalid_field"),
        ({"source": "a\0b"}, "invalid_field"),
        ({"type": "a\nb"}, "invalid_field"),
        ({"subject": ["acme"]}, "invalid_field"),
        ({"specversion": "0.3"}, "unsupported_specversion"),
        ({"specversion": 1.0}, "unsupported_specversion"),
        ({"time": 1773144000}, "invalid_time"),
        ({"time": "yesterday"}, "invalid_time"),
        ({"time": "2026-03-10T11:59:00"}, "invalid_time"),
        ({"time": "1970-01-01T00:00:00Z"}, "too_old"),
        ({"time": "2026-02-03T11:59:59.999Z"}, "too_old"),
        ({"time": "2026-03-10T12:05:00.001Z"}, "in_future"),
        ({"time": "2090-01-01T00:00:00Z"}, "in_future"),
    ],
)
def test_what_parks_an_event(changes: dict[str, Any], code: str) -> None:
    rejection = rejected(raw(**changes))
    assert rejection.code == code
    assert rejection.raw == raw(**changes)
    assert rejection.id == ("1" if "id" not in changes else None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", "invalid_json"),
        (b"", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": Infinity}', "invalid_json"),
        (rb'{"a": "\ud800"}', "invalid_json"),
        (b'{"a": "\xff"}', "invalid_json"),
        (b'{"a": "\x00"}', "invalid_json"),
        (b"1", "not_an_object"),
        (b'["id"]', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "too_deep"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "too_deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "invalid_number"),
        (b'{"a": 1e99999999999999999999}', "invalid_number"),
        (b'{"id": "1", "id": "1"}', "duplicate_key"),
        (b'{"data": {"n": 1, "n": 2}}', "duplicate_key"),
        (rb'{"data": {"n": 1, "\u006e": 2}}', "duplicate_key"),
        (rb'{"data": {"n": 1, "n": "\u003a"}}', "duplicate_key"),
        (rb'{"data": {"n": {"x": ":"}, "n": "\u003A:"}}', "duplicate_key"),
        (b'{"pad": "' + b"x" * limits.EVENT_BYTES + b'"}', "event_too_large"),
    ],
)
def test_elements_that_are_no_events(body: bytes, code: str) -> None:
    assert rejected(body).code == code


def test_only_the_beginning_of_a_too_large_event_is_kept() -> None:
    rejection = rejected(b"x" * 2_000_000)
    assert rejection.truncated
    assert len(rejection.raw) < 10_000


@pytest.mark.parametrize(
    "number", ["-0", "-0.0", "1e400", "1" * 401, "0." + "0" * 400 + "1", "123456789.123456789"]
)
def test_values_are_the_meters_business(number: str) -> None:
    body = raw(data=...)[:-1] + b', "data": {"n": ' + number.encode() + b"}}"
    assert valid(body).raw == body


def test_nesting_of_64_levels_is_taken() -> None:
    body = raw(data=...)[:-1] + b', "data": ' + b"[" * 63 + b"]" * 63 + b"}"
    valid(body)


def test_many_brackets_are_not_depth() -> None:
    valid(raw(data=[{"n": [1]} for _ in range(100)]))


def test_the_window_is_closed_on_both_sides() -> None:
    valid(raw(time="2026-02-03T12:00:00Z"))
    valid(raw(time="2026-03-10T12:05:00Z"))


def test_equal_content_has_one_digest_however_it_is_written() -> None:
    plain = valid(raw())
    shuffled = json.dumps(dict(reversed(EVENT.items())), indent=3).replace("acme", "\\u0061cme")
    assert valid(shuffled.encode()).digest == plain.digest
    assert valid(raw(data={"bytes": 13})).digest != plain.digest
    assert valid(raw(time="2026-03-10T11:59:01Z")).digest != plain.digest


def test_a_stamp_is_not_content() -> None:
    plain = valid(raw(time=...))
    null = valid(raw(time=None))
    stamped = valid(raw(tollgatestamped=True))
    later = valid(raw(tollgatestamped=True, time="2026-03-10T11:59:33Z"))
    assert plain.is_stamped
    assert stamped.is_stamped
    assert stamped.time_ms is not None
    assert plain.digest == null.digest == stamped.digest == later.digest
    claimed = valid(raw(tollgatestamped="yes"))
    assert not claimed.is_stamped
    assert claimed.digest != plain.digest
    assert not valid(raw()).is_stamped


@given(st.dictionaries(st.text(":\\a", max_size=3), st.text(":\\u03a", max_size=8), max_size=5))
def test_colons_in_content_are_not_mistaken_for_duplicate_keys(data: dict[str, str]) -> None:
    valid(raw(data=data))


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(body: bytes) -> None:
    validate(0, body, NOW)


@given(
    st.dictionaries(
        st.sampled_from([*EVENT, "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_json_gets_an_answer(changes: dict[str, Any]) -> None:
    answer = validate(0, raw(**changes), NOW)
    if isinstance(answer, Rejection):
        assert answer.code in REASONS
        assert answer.message.isprintable()
