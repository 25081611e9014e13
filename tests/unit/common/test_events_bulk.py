"""Judging many elements at once says, of each, exactly what judging it alone says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import (
    BodyError,
    Rejection,
    ValidEvent,
    WholeElements,
    elements,
    limits,
    parse_time_ms,
    validate,
    validate_all,
)

NOW = parse_time_ms("2026-03-10T12:00:00Z")
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "app",
    "type": "request",
    "subject": "acme",
    "time": "2026-03-10T11:59:00.500Z",
    "data": {"bytes": 12, "at": "10:30"},
}


def one(**changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (EVENT | changes).items() if v is not ...}).encode()


def together(found: list[bytes]) -> list[ValidEvent | Rejection]:
    return [judged for chunk in validate_all(found, NOW) for judged in chunk]


def alone(found: list[bytes]) -> list[ValidEvent | Rejection]:
    return [validate(index, raw, NOW) for index, raw in enumerate(found)]


def nested(levels: int) -> bytes:
    return one(data=0).replace(b'"data": 0', b'"data":' + b"[" * levels + b"]" * levels)


ODD = [
    one(id=""),
    one(id="x" * (limits.ATTRIBUTE_CHARS + 1)),
    one(id="a\0b"),
    one(id="caf\u00e9\u00a0"),
    one(source=7),
    one(type=...),
    one(subject="line\nbreak"),
    one(specversion="2.0"),
    one(specversion=None),
    one(specversion=...),
    one(time=None),
    one(time=...),
    one(time="2026-03-10"),
    one(time="2026-01-10T12:00:00.000Z"),
    one(time="2026-03-10T13:00:00+01:00"),
    one(time="2026-03-10T12:06:00.000Z"),
    one(tollgatestamped=True),
    one(tollgatestamped="true"),
    one(tollgatestamped=True, time=...),
    one(datacontenttype="application/json"),
    one(traceparent="00-1"),
    one(data=1e400),
    one(data=[1.50, -0.0, 10**40, None, True]),
    one(data={"b": 1, "a": {"d": 2, "c": [3]}}),
    one(data="\u003a:\\"),
    one().replace(b'"data"', b'"d\\u0061ta"'),
    one().replace(b'"id"', b'"\\u003aid"'),
    one().replace(b'"id": "1"', b'"id": "2", "id": "1"'),
    one().replace(b'"id": "1"', b'"id": "2", "i\\u0064": "1"'),
    one().replace(b'"bytes"', b'"at": "", "bytes"'),
    one(data="X").replace(b"X", b"\\u003a"),
    one(data="X").replace(b'"id": "1"', b'"id": "2", "id": "1"').replace(b"X", b"\\u003A"),
    one().replace(b"12", b"1e999999999999999999999"),
    one().replace(b"12", b"12.000"),
    one().replace(b'"acme"', b'"\\ud800"'),
    one().replace(b'"acme"', b'"\xff"'),
    one().replace(b", ", b" ,\n\t"),
    nested(60),
    nested(70),
    b"[]",
    b"null",
    b"{}",
    b'"\\u003"',
]


@pytest.mark.parametrize("raw", ODD)
def test_an_odd_one_among_good_ones(raw: bytes) -> None:
    body = b"[" + b",".join([one(id=str(n)) for n in range(40)] + [raw, one(id="last")]) + b"]"
    found = elements(body, "application/json")
    assert len(found) == 42
    assert together(found) == alone(found)


@given(st.lists(st.sampled_from([*ODD, one(), one(id="2"), one(data=...)]), max_size=100))
def test_any_mixture(raws: list[bytes]) -> None:
    found = elements(b"[" + b",".join(raws) + b"]", "application/json")
    assert found == raws
    assert together(found) == alone(found)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(':"\\a', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(":ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*EVENT, "tollgatestamped", "dataschema", "other"]), json_values
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_any_content(changes: list[dict[str, Any]], escapes: bool) -> None:
    raws = [json.dumps(EVENT | change, ensure_ascii=escapes).encode() for change in changes]
    found = elements(b"[" + b",".join(raws) + b"]", "application/json")
    assert together(found) == alone(found)


def test_lines_are_judged_one_by_one_whatever_they_would_be_together() -> None:
    halves = [
        one(id="1") + b"," + one(id="2"),
        one(id="3", data=0).replace(b'"data": 0}', b'"data": [1'),
        b"2]}",
    ]
    found = elements(b"\n".join(halves), "application/x-ndjson")
    assert found == halves
    assert not isinstance(found, WholeElements)
    assert together(found) == alone(found)
    assert all(isinstance(judged, Rejection) for judged in together(found))


@given(st.binary(max_size=200))
def test_elements_that_are_called_whole_are_whole(noise: bytes) -> None:
    for body in (noise, b"[" + noise + b"]", b"[" + one() + b"," + noise + b"]"):
        try:
            found = elements(body, "application/json")
        except BodyError:
            continue
        assert together(found) == alone(found)


def test_a_large_event_among_good_ones() -> None:
    raws = [one(id="1"), one(data="x" * limits.EVENT_BYTES), one(id="2")]
    found = elements(b"[" + b",".join(raws) + b"]", "application/json")
    assert together(found) == alone(found)
    assert [type(judged) for judged in together(found)] == [ValidEvent, Rejection, ValidEvent]
