"""From repetitions to tables: what a reader sees of a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.aims import Aim, judge
from bench.contract import About, Measurement
from bench.publish import BEGIN, END, between, publish
from bench.report import to_json, to_markdown
from bench.run import Findings
from bench.summary import rows

CEILING = About(name="kafka.produce", family="ceilings", unit="event", what="Kafka alone")
STAGE = About(
    name="ingest.api.500",
    family="stages",
    unit="event",
    what="the API",
    ceilings=("kafka.produce", "http.fastapi"),
)
FACTS: dict[str, Any] = {
    "measured_at": "2026-11-28T04:00:00+00:00",
    "revision": "abc1234",
    "scale": "full",
    "seed": 7,
    "repetitions": 3,
    "cpu": "a CPU",
    "cores": 2,
    "memory_gib": 8,
    "kernel": "6.1",
    "python": "3.11",
    "kafka": "4.2.0",
    "postgres": "17",
    "libraries": {"aiokafka": "0.14.0"},
}


def findings() -> Findings:
    made = Findings()
    for seconds in (1.0, 2.0, 4.0):
        made.add(CEILING, Measurement(units=400_000, seconds=seconds))
    for seconds in (1.0, 2.0, 4.0):
        made.add(
            STAGE,
            Measurement(
                units=100_000,
                seconds=seconds,
                cpu_seconds={"ingest-api": 0.4 * seconds, "kafka": 0.1},
                latencies_ms={"2xx": [seconds, seconds * 10]},
            ),
        )
    return made


def test_a_rate_is_the_spread_of_the_repetitions_and_its_ratio_is_of_medians() -> None:
    ceiling, stage = rows(findings())
    assert stage.rate is not None
    assert (stage.rate.low, stage.rate.middle, stage.rate.high) == (25_000, 50_000, 100_000)
    assert stage.ratios == {"kafka.produce": 0.25}, "a ceiling that was not measured has no ratio"
    assert ceiling.ratios == {}


def test_cpu_time_is_told_a_unit_and_by_process() -> None:
    stage = rows(findings())[1]
    assert stage.cpu_us == {"ingest-api": pytest.approx(8.0), "kafka": pytest.approx(1.0)}
    assert stage.cpu_us_total == pytest.approx(9.0)


def test_latencies_are_over_all_repetitions() -> None:
    latency = rows(findings())[1].latencies["2xx"]
    assert (latency.count, latency.p50, latency.p99, latency.high) == (6, 4.0, 40.0, 40.0)


def test_a_repetition_with_a_fault_does_not_count_and_is_listed() -> None:
    made = findings()
    made.add(STAGE, Measurement(units=1_000_000, seconds=1.0, faults=["one tenant differs"]))
    stage = rows(made)[1]
    assert stage.counted == 3
    assert stage.rate is not None
    assert stage.rate.high == 100_000
    assert "- ingest.api.500: one tenant differs" in to_markdown(made, FACTS, "make bench")


def test_a_benchmark_that_never_counted_has_no_figure() -> None:
    made = Findings()
    made.add(STAGE, Measurement(units=1, seconds=1.0, faults=["lost"]))
    assert rows(made)[0].rate is None
    assert "not counted" in to_markdown(made, FACTS, "make bench")


def test_the_tables_name_machine_command_and_revision() -> None:
    text = to_markdown(findings(), FACTS, "make bench")
    assert "`make bench` at revision abc1234" in text
    assert "a CPU, 2 cores" in text
    assert "| `ingest.api.500` | the API | events | 25,000 / **50,000** / 100,000 |" in text


def test_the_json_holds_every_repetition() -> None:
    body = json.loads(to_json(findings(), FACTS, "make bench"))
    assert [one["seconds"] for one in body["repetitions"]["ingest.api.500"]] == [1.0, 2.0, 4.0]
    assert body["facts"]["seed"] == 7


def test_an_aim_is_judged_by_the_median_rate_or_the_p99() -> None:
    aims = [
        Aim(what="fast", benchmark="ingest.api.500", bound=50_000),
        Aim(what="faster", benchmark="ingest.api.500", bound=50_001),
        Aim(what="prompt", benchmark="ingest.api.500", bound=40, timed="2xx"),
        Aim(what="prompter", benchmark="ingest.api.500", bound=39, timed="2xx"),
        Aim(what="unknown", benchmark="growth", bound=1),
    ]
    verdicts = judge(rows(findings()), aims)
    assert [verdict.reached for verdict in verdicts] == [True, False, True, False, None]


def test_memory_is_judged_beside_the_same_repetition_of_another_benchmark() -> None:
    made = Findings()
    for half, whole in ((100, 104), (60, 66)):
        for name, mib in (("half", half), ("all", whole)):
            about = About(name=name, family="growth", unit="line", what="rating")
            made.add(about, Measurement(units=1, seconds=1.0, rss_bytes={"rating": mib * 2**20}))
    flat = Aim(what="flat", benchmark="all", bound=1.10, memory_of="half", process="rating")
    grown = replace(flat, bound=1.09)
    alone = replace(flat, memory_of="tenth")
    assert [verdict.reached for verdict in judge(rows(made), [flat, grown, alone])] == [
        True,
        False,
        None,
    ]


def test_publishing_replaces_what_stands_between_the_markers_and_nothing_else(
    tmp_path: Path,
) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n## After\n")
    publish(page, "new tables\n")
    publish(page, "newer tables\n")
    assert page.read_text() == f"# Before\n\n{BEGIN}\n\nnewer tables\n\n{END}\n\n## After\n"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{END}"])
def test_a_page_without_one_pair_of_markers_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="needs one"):
        between(page, "tables")


def test_the_committed_page_has_its_markers() -> None:
    page = Path(__file__).parents[3] / "docs" / "performance.md"
    assert "tables" in between(page.read_text(), "tables")
