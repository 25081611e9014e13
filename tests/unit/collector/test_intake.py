"""What becomes of the elements of a body."""

import json
from typing import Any

import pytest

from collector.intake import Intake, rfc3339, sort_out, stamped

NOW_MS = 1_790_000_000_123


def taken(*elements: bytes) -> Intake:
    intake = Intake()
    sort_out(intake, 0, elements, NOW_MS)
    return intake


def event(**fields: Any) -> bytes:
    whole = {"id": "1", "source": "app", "type": "t", "subject": "acme"} | fields
    return json.dumps(whole).encode()


def test_a_good_event_is_kept_as_it_came() -> None:
    raw = b'{ "id":"1", "source":"app","type":"t","subject":"a","time":"%b","data":{"n":1.10} }' % (
        rfc3339(NOW_MS).encode()
    )
    assert taken(raw).events == [raw]


def test_bad_ones_are_told_with_their_place() -> None:
    intake = taken(event(), b"{", event(subject=""), event(time="2090-01-01T00:00:00Z"))
    assert len(intake.events) == 1
    assert [(item.index, item.code) for item in intake.rejected] == [
        (1, "invalid_json"),
        (2, "invalid_field"),
        (3, "in_future"),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        event(),
        event(time=None),
        event(data={"time": "mine"}),
        event(data={"text": 'a "time" in it'}),
        event(tollgatestamped=False),
        b'{"\\u0074ime":null,"id":"1","source":"app","type":"t","subject":"acme"}',
    ],
)
def test_an_event_without_time_is_stamped_and_says_so(raw: bytes) -> None:
    (body,) = taken(raw).events
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    found = dict(pairs)
    assert found["time"] == "2026-09-21T14:13:20.123Z"
    assert found["tollgatestamped"] is True
    assert found["subject"] == "acme"


def test_stamping_keeps_numbers_exact() -> None:
    raw = b'{"time":null,"data":{"n":123456789012345678901234567890.10}}'
    assert b'"n":123456789012345678901234567890.10' in stamped(raw, NOW_MS)
