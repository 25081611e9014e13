"""Batches on the wire."""

import json

import pytest

from collector.batches import Batch, Verdict, verdict


def batch(count: int, first_seq: int = 5) -> Batch:
    events = [b'{"id":"%d"}' % number for number in range(first_seq, first_seq + count)]
    return Batch("edge-1", "e", first_seq, "2026-11-23T09:00:00.000Z", events)


def test_the_body_of_a_batch() -> None:
    assert json.loads(batch(2).body()) == {
        "node": "edge-1",
        "epoch": "e",
        "first_seq": 5,
        "sealed_through": "2026-11-23T09:00:00.000Z",
        "events": [{"id": "5"}, {"id": "6"}],
    }


def test_a_heartbeat_has_no_events() -> None:
    empty = batch(0)
    assert json.loads(empty.body())["events"] == []
    assert empty.last_seq == 4


@pytest.mark.parametrize("count", [2, 3, 7, 1000])
def test_halves_hold_the_same_events_under_the_same_sequences(count: int) -> None:
    whole = batch(count)
    first, second = whole.halves("2026-11-23T08:00:00.000Z")
    assert list(first.events) + list(second.events) == list(whole.events)
    assert first.first_seq == whole.first_seq
    assert second.first_seq == first.last_seq + 1
    assert second.last_seq == whole.last_seq
    assert first.sealed_through == "2026-11-23T08:00:00.000Z"
    assert second.sealed_through == whole.sealed_through


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Verdict.TAKEN),
        (400, Verdict.BAD),
        (413, Verdict.BAD),
        (415, Verdict.BAD),
        (422, Verdict.BAD),
        (301, Verdict.LATER),
        (401, Verdict.LATER),
        (403, Verdict.LATER),
        (404, Verdict.LATER),
        (408, Verdict.LATER),
        (429, Verdict.LATER),
        (500, Verdict.LATER),
        (502, Verdict.LATER),
        (503, Verdict.LATER),
    ],
)
def test_what_a_status_means(status: int, meaning: Verdict) -> None:
    assert verdict(status) is meaning
