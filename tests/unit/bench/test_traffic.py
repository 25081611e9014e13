"""The load: what is sent adds up to the truth that runs are checked with."""

import json
from collections import Counter
from typing import Any

import pytest
import zstandard

from bench.load.events import EVENT_BYTES, Kind, Prepared, Traffic, prepare, tenant_key

BEGIN_MS = 1_800_000_000_000


def traffic(kind: Kind = "events", **changes: Any) -> Traffic:
    fields = {"seed": 3, "events": 2_000, "per_request": 50, "sources": 4, "tenants": 20}
    return Traffic(begin_ms=BEGIN_MS, span_ms=1_000, kind=kind, **(fields | changes))


def bodies(prepared: Prepared) -> list[Any]:
    """What the server would read, in the order of the lanes."""
    found = []
    for request in (request for lane in prepared.lanes for request in lane):
        head, body = request.split(b"\r\n\r\n", 1)
        assert f"Content-Length: {len(body)}".encode() in head
        if b"Content-Encoding: zstd" in head:
            body = zstandard.ZstdDecompressor().decompress(body)
        found.append(json.loads(body))
    return found


def distinct(events: list[Any]) -> list[Any]:
    return list({(event["source"], event["id"]): event for event in events}.values())


@pytest.mark.parametrize("kind", ["events", "batches"])
def test_distinct_events_add_up_to_the_truth(kind: Kind) -> None:
    prepared = prepare(traffic(kind))
    sent = [
        event
        for body in bodies(prepared)
        for event in (body["events"] if kind == "batches" else body)
    ]
    assert len(sent) == prepared.sent == sum(map(sum, prepared.sizes))
    once = distinct(sent)
    assert len(once) == 2_000 == sum(prepared.truth.counts)
    counts = Counter(event["subject"] for event in once)
    assert [counts[tenant_key(n)] for n in range(20)] == prepared.truth.counts
    sums: Counter[str] = Counter()
    for event in once:
        sums[event["subject"]] += event["data"]["bytes"]
    assert [sums[tenant_key(n)] for n in range(20)] == prepared.truth.sums


@pytest.mark.parametrize("kind", ["events", "batches"])
@pytest.mark.parametrize("per_request", [1, 10, 50])
def test_one_in_twenty_is_sent_twice(kind: Kind, per_request: int) -> None:
    prepared = prepare(traffic(kind, per_request=per_request))
    repeated = prepared.sent - 2_000
    assert repeated / prepared.sent == pytest.approx(0.05, abs=0.01)


def size(event: Any) -> int:
    return len(json.dumps(event, separators=(",", ":")))


def test_an_event_has_the_size_that_the_tables_name() -> None:
    assert {size(event) for event in bodies(prepare(traffic()))[0]} == {EVENT_BYTES}
    of_nodes = {size(event) for event in bodies(prepare(traffic("batches")))[0]["events"]}
    assert EVENT_BYTES - 5 <= min(of_nodes) <= max(of_nodes) <= EVENT_BYTES


def test_a_node_identifies_its_events_by_their_numbers() -> None:
    batch = bodies(prepare(traffic("batches")))[0]
    for number, event in enumerate(batch["events"], batch["first_seq"]):
        assert event["id"] == f"{batch['epoch']}-{number}"
        assert event["source"].startswith(f"{batch['node']}/")


def test_a_node_numbers_its_events_without_holes_and_repeats_whole_batches() -> None:
    for lane in prepare(traffic("batches")).lanes:
        one = Prepared([lane], [[0] * len(lane)], truth=prepare(traffic()).truth)
        expected = 1
        before: Any = None
        for batch in bodies(one):
            if batch == before:
                continue
            assert batch["first_seq"] == expected
            expected += len(batch["events"])
            before = batch


def test_another_seed_gives_other_ids_and_the_same_seed_the_same_bytes() -> None:
    assert prepare(traffic()).lanes == prepare(traffic()).lanes
    ids = [
        {event["id"] for body in bodies(prepare(traffic(seed=seed))) for event in body}
        for seed in (1, 2)
    ]
    assert not ids[0] & ids[1]


def test_times_lie_in_the_stretch_that_was_asked_for() -> None:
    times = [event["time"] for body in bodies(prepare(traffic())) for event in body]
    assert min(times) == "2027-01-15T08:00:00.000Z"
    assert max(times) < "2027-01-15T08:00:01"
