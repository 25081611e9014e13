"""The frame of a node's batch."""

import json
from typing import Any

import pytest

from common.events import BodyError, parse_time_ms
from ingest.batches import parse_batch

BATCH: dict[str, Any] = {
    "node": "edge-1",
    "epoch": "e1",
    "first_seq": 1,
    "sealed_through": "2026-03-10T12:00:00.250Z",
    "events": [],
}


def test_the_frame_and_the_events() -> None:
    body = json.dumps(BATCH)[:-3] + '[ {"a": 1.50} , 5]}'
    frame, elements = parse_batch(body.encode())
    assert (frame.node, frame.epoch, frame.first_seq) == ("edge-1", "e1", 1)
    assert frame.sealed_through_ms == parse_time_ms("2026-03-10T12:00:00.250Z")
    assert elements == [b'{"a": 1.50}', b"5"]


def test_a_batch_need_not_seal() -> None:
    frame, _ = parse_batch(json.dumps(BATCH | {"sealed_through": None}).encode())
    assert frame.sealed_through_ms is None


@pytest.mark.parametrize(
    "changes",
    [
        {"node": ""},
        {"node": 5},
        {"node": "a\0b"},
        {"node": "x" * 257},
        {"epoch": ""},
        {"epoch": None},
        {"first_seq": 0},
        {"first_seq": -1},
        {"first_seq": 1.5},
        {"first_seq": "1"},
        {"first_seq": 2**53 + 1},
        {"first_seq": 10**30},
        {"sealed_through": "soon"},
        {"sealed_through": 5},
        {"events": {}},
        {"events": None},
    ],
)
def test_a_wrong_frame_is_refused_whole(changes: dict[str, Any]) -> None:
    with pytest.raises(BodyError) as caught:
        parse_batch(json.dumps(BATCH | changes).encode())
    assert (caught.value.status, caught.value.code) == (400, "invalid_batch")


@pytest.mark.parametrize("missing", ["node", "epoch", "first_seq", "events"])
def test_a_missing_field_is_refused(missing: str) -> None:
    body = {name: value for name, value in BATCH.items() if name != missing}
    with pytest.raises(BodyError) as caught:
        parse_batch(json.dumps(body).encode())
    assert caught.value.code == "invalid_batch"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_batch"),
        (b'{"node": NaN}', "invalid_json"),
        (b'{"node": "\xff"}', "invalid_json"),
        (b'{"node": "a", "events": [' + b"[" * 9000 + b"]" * 9000 + b"]}", "too_deep"),
    ],
)
def test_what_is_no_batch(body: bytes, code: str) -> None:
    with pytest.raises(BodyError) as caught:
        parse_batch(body)
    assert (caught.value.status, caught.value.code) == (400, code)
