"""What a run has found, for people and as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.faultlog import FaultLog
from chaos.recovery import Row, Struck
from chaos.verdict import SHOWN, Verdict


def recovery_table(rows: Sequence[Row]) -> list[str]:
    """Markdown; seconds with one decimal."""
    lines = [
        "| fault | count | itself lasted, median | recovered, median | worst | slowest path then |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.kind} | {row.count} | {row.lasted:.1f} s | {row.median:.1f} s | {row.worst:.1f} s"
        f" | {row.slowest_path} |"
        for row in rows
    ]
    return lines


def summary(verdict: Verdict, faults: FaultLog, rows: Sequence[Row], again: str) -> list[str]:
    """The whole run in a screenful."""
    struck = len(faults.struck)
    lines = ["", *recovery_table(rows), ""]
    lines += [f"{name}: {value}" for name, value in verdict.figures.items()]
    for check, findings in verdict.findings.items():
        if findings:
            lines.append(f"WRONG, {check}: {len(findings)}")
            lines += [f"  {line}" for line in _shown(check, findings)]
    wrong = sum(map(len, verdict.findings.values()))
    lines.append(
        f"{struck} faults ({len(faults.missed)} more found nothing to hit),"
        f" {verdict.lost} lost, {verdict.doubled} doubled, {wrong} findings"
    )
    lines.append(f"again: {again}")
    return lines


def _shown(check: str, findings: Sequence[str]) -> Iterable[str]:
    """The explanation of the first difference in usage is shown whole."""
    most = 60 if check == "usage" else SHOWN
    yield from findings[:most]
    if len(findings) > most:
        yield f"... and {len(findings) - most} more, in the report"


def write(
    path: Path,
    verdict: Verdict,
    faults: FaultLog,
    rows: Sequence[Row],
    recoveries: Sequence[tuple[Struck, float | None, str]],
    about: dict[str, Any],
) -> None:
    """The report as JSON."""
    kinds = Counter(fault.kind for fault in faults.struck.values())
    body = about | {
        "faults": len(faults.struck),
        "faults by kind": dict(sorted(kinds.items())),
        "missed": [f"{planned}: {reason}" for planned, reason in faults.missed],
        "clean": verdict.is_clean,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "figures": verdict.figures,
        "findings": verdict.findings,
        "recovery": [asdict(row) for row in rows],
        "recovery of each": [
            [fault.n, fault.kind, fault.target, seconds and round(seconds, 1), slowest]
            for fault, seconds, slowest in recoveries
        ],
    }
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
