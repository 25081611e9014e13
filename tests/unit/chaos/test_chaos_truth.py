"""What a client makes is in the truth, and what was refused must be listed."""

import json
import time
from pathlib import Path

from chaos.faultlog import FaultLog
from chaos.load.maker import Element, Maker, Parcel, Repeats
from chaos.schedule import Planned
from chaos.settle import Parked, unlisted
from chaos.truth import Bad, Truth


def test_a_parcel_is_in_the_truth_before_it_is_sent_and_acknowledged_after() -> None:
    truth, repeats = Truth(), Repeats()
    maker = Maker(7, "client", "http", "ingest", truth, repeats)
    parcels = [maker.parcel(25) for _ in range(40)]
    fresh = sum(len(parcel.elements) for parcel in parcels)
    conflicts = sum(len(parcel.conflicts) for parcel in parcels)
    assert fresh == len(truth.events) + len(truth.bad) + conflicts == 1000
    assert truth.bad
    assert truth.stamped
    assert all("time" not in element for element in _elements_of(truth, parcels))
    assert not any(made.acked_at for made in truth.events)

    for parcel in parcels:
        maker.acknowledged(parcel)
    assert all(made.acked_at for made in truth.events)
    again = maker.parcel(0)
    assert again.elements, "one in ten is sent again"
    assert len(truth.events) + len(truth.bad) + conflicts == 1000


def _elements_of(truth: Truth, parcels: list[Parcel]) -> list[Element]:
    stamped = {made.id for made in truth.stamped}
    elements = [element for parcel in parcels for element in parcel.elements]
    return [element for element in elements if element["id"] in stamped]


def test_the_same_seed_makes_the_same_events() -> None:
    def made(seed: int) -> list[int]:
        truth = Truth()
        Maker(seed, "client", "http", "ingest", truth, Repeats()).parcel(50)
        return [event.size for event in truth.events]

    assert made(7) == made(7)
    assert made(7) != made(8)


def test_refused_events_and_conflicts_must_be_listed() -> None:
    truth = Truth(
        bad=[
            Bad("bad/a/1", "ingest", acked=True),
            Bad("bad/b/1", "collector-1", acked=True),
            Bad("bad/c/1", "ingest"),
        ],
        conflicts=[("app", "1")],
    )
    listed = Parked({"ingest": {"bad/a/1"}, "collector-1": {"bad/b/1"}}, {("app", "1")})
    assert unlisted(truth, listed) == []
    missing = unlisted(truth, Parked({"ingest": {"bad/b/1"}, "collector-1": set()}, set()))
    assert missing == [
        "the refused event bad/a/1 is not listed at ingest",
        "the refused event bad/b/1 is not listed at collector-1",
        "the copy of app 1 with other content is not listed",
    ]


def test_every_fault_is_logged_with_its_time_and_what_it_hit(tmp_path: Path) -> None:
    log = FaultLog(tmp_path / "faults.jsonl")
    planned = Planned(1, 0.5, "cut", "kafka>rating-1", 2.0, {"mode": "silent"})
    log.began(planned)
    log.healed(planned)
    log.did_not_strike(Planned(2, 0.6, "kill", "rating-1", 0.0, {}), "rating-1 is down")
    lines = [json.loads(line) for line in log.around(time.time())]
    assert [line["event"] for line in lines] == ["began", "healed", "missed"]
    assert lines[0]["target"] == "kafka>rating-1"
    assert lines[0]["mode"] == "silent"
    assert set(log.struck) == {1}
    assert log.around(time.time() - 1000) == []
    log.close()
