"""A run as Markdown tables and as JSON. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.aims import Verdict, judge
from bench.contract import FAMILIES
from bench.run import Findings
from bench.statistics import Spread
from bench.summary import Latency, Row, rows

TITLES = {
    "ceilings": "Ceilings",
    "stages": "Stages, each alone",
    "endtoend": "End to end",
    "growth": "Growth",
}


def to_json(findings: Findings, facts: Mapping[str, Any], command: str) -> str:
    """Everything: facts, rows, and every repetition as it was measured (latencies left out)."""
    found = rows(findings)
    body = {
        "command": command,
        "facts": facts,
        "rows": [asdict(row) for row in found],
        "aims": [
            {**asdict(verdict.aim), "found": verdict.found, "reached": verdict.reached}
            for verdict in judge(found)
        ],
        "repetitions": {
            name: [
                {
                    "units": one.units,
                    "seconds": one.seconds,
                    "cpu_seconds": dict(one.cpu_seconds),
                    "rss_bytes": dict(one.rss_bytes),
                    "faults": list(one.faults),
                }
                for one in repetitions
            ]
            for name, repetitions in findings.repetitions.items()
        },
        "failures": findings.failures,
    }
    return json.dumps(body, indent=1) + "\n"


def to_markdown(findings: Findings, facts: Mapping[str, Any], command: str) -> str:
    """The tables, under headings of the third level."""
    found = rows(findings)
    parts = [_head(facts, command)]
    verdicts = [verdict for verdict in judge(found) if verdict.found is not None]
    if verdicts:
        parts.append("### Aims\n\n" + _aims(verdicts))
    for family in FAMILIES:
        of_family = [row for row in found if row.family == family]
        if of_family:
            parts.append(f"### {TITLES[family]}\n\n{_rates(of_family)}")
            timed = [row for row in of_family if row.latencies]
            if timed:
                parts.append(_times(timed))
            parts.append(_cpu(of_family))
            if any(row.rss_mib for row in of_family):
                parts.append(_memory(of_family))
    wrong = [f"- {row.name}: {fault}" for row in found for fault in row.faults]
    wrong += [f"- {name}: {failure}" for name, failure in findings.failures.items()]
    if wrong:
        parts.append("### What does not count\n\n" + "\n".join(wrong))
    return "\n\n".join(parts) + "\n"


def _head(facts: Mapping[str, Any], command: str) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in facts["libraries"].items())
    return (
        f"`{command}` at revision {facts['revision']}, {facts['measured_at']}, "
        f"seed {facts['seed']}, {facts['repetitions']} repetitions.\n\n"
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
        f"Linux {facts['kernel']}; client, broker and database on the same cores. "
        f"Python {facts['python']}, Kafka {facts['kafka']}, PostgreSQL {facts['postgres']}; "
        f"{libraries}.\n\n"
        "Figures are minimum / **median** / maximum of the repetitions; latencies are over all "
        "of them. A ratio is to the median of that ceiling in this run."
    )


def _aims(verdicts: Sequence[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        aim, found = verdict.aim, verdict.found or 0.0
        form = "{:,.0f} ms" if aim.timed else "{:.2f}" if aim.is_ratio else "{:,.0f}"
        bound = f"{'at most' if aim.is_upper else 'at least'} {form.format(aim.bound)}"
        shown = form.format(found)
        lines.append([aim.what, bound, shown, "yes" if verdict.reached else "**no**"])
    return _table(["aim", "asked", "found", "reached"], lines)


def _rates(found: Sequence[Row]) -> str:
    lines = []
    for row in found:
        ratios = ", ".join(f"{share:.2f} of {name}" for name, share in row.ratios.items())
        rate = _spread(row.rate) if row.rate else "not counted"
        lines.append([f"`{row.name}`", row.what, f"{row.unit}s", rate, ratios])
    return _table(["benchmark", "what", "unit", "a second", "ratio"], lines)


def _times(found: Sequence[Row]) -> str:
    lines = [
        [f"`{row.name}`", what, f"{one.count:,}", *_milliseconds(one)]
        for row in found
        for what, one in row.latencies.items()
    ]
    return _table(["benchmark", "time of", "count", "p50 ms", "p99 ms", "most ms"], lines)


def _cpu(found: Sequence[Row]) -> str:
    lines = []
    for row in found:
        spent = sorted(row.cpu_us.items(), key=lambda item: -item[1])
        by_process = ", ".join(f"{name} {us:.2f}" for name, us in spent)
        lines.append([f"`{row.name}`", row.unit, f"{row.cpu_us_total:.2f}", by_process])
    return _table(["benchmark", "a", "CPU us", "by process"], lines)


def _memory(found: Sequence[Row]) -> str:
    lines = [
        [
            f"`{row.name}`",
            ", ".join(f"{name} {a:.0f} → {b:.0f}" for name, (a, b) in row.rss_mib.items()),
        ]
        for row in found
        if row.rss_mib
    ]
    return _table(["benchmark", "resident MiB after the first and the last repetition"], lines)


def _spread(values: Spread) -> str:
    return f"{values.low:,.0f} / **{values.middle:,.0f}** / {values.high:,.0f}"


def _milliseconds(one: Latency) -> list[str]:
    return [
        f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in (one.p50, one.p99, one.high)
    ]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))
