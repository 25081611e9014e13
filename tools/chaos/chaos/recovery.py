"""How long the system took to recover from each fault. Pure.

A fault that began at time t is over for a path when an event that was first sent by that path
after t is visible in `GET /v1/usage`. The recovery time of the fault is that of its slowest path,
from t. It contains how long the fault itself lasted where nothing could take over, the faults that
overlapped with it, and what an undisturbed event takes as well (`baseline`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from chaos.load.probes import Sightings


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened: its kind, when it began and was healed (Unix seconds)."""

    n: int
    kind: str
    target: str
    began: float
    healed: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The recoveries of one kind, in seconds. `lasted`: the faults themselves, median."""

    kind: str
    count: int
    lasted: float
    median: float
    worst: float
    slowest_path: str


def recovered_at(began: float, path: str, sightings: Sightings) -> float | None:
    """When an event sent by `path` at or after `began` was visible first; None: never seen."""
    first = bisect_left(sightings.sent[path], began) + 1
    return next((at for at, seen in sightings.seen if seen.get(path, 0) >= first), None)


def recovery(began: float, sightings: Sightings) -> tuple[float, str] | None:
    """(seconds, slowest path); None while a path has not recovered."""
    times = {path: recovered_at(began, path, sightings) for path in sightings.sent}
    if any(at is None for at in times.values()):
        return None
    slowest = max(times, key=lambda path: times[path] or 0.0)
    return (times[slowest] or 0.0) - began, slowest


def each(struck: Iterable[Struck], sightings: Sightings) -> list[tuple[Struck, float | None, str]]:
    """Every fault with its recovery in seconds, None where there was none, and the slowest path."""
    found = [(fault, recovery(fault.began, sightings)) for fault in struck]
    return [(fault, *(one if one is not None else (None, ""))) for fault, one in found]


def table(struck: Iterable[Struck], sightings: Sightings) -> list[Row]:
    """A row a kind, by its name."""
    by_kind: dict[str, list[Struck]] = {}
    for fault in struck:
        by_kind.setdefault(fault.kind, []).append(fault)
    rows = []
    for kind, faults in sorted(by_kind.items()):
        found = [r for fault in faults if (r := recovery(fault.began, sightings)) is not None]
        if not found:
            continue
        worst, path = max(found)
        lasted = median((f.healed or f.began) - f.began for f in faults)
        rows.append(
            Row(kind, len(faults), lasted, median(seconds for seconds, _ in found), worst, path)
        )
    return rows


def baseline(sightings: Sightings, before: float) -> float | None:
    """Median time from sending to being visible of the probes sent before the faults began."""
    waits: list[float] = []
    for path, sent in sightings.sent.items():
        for number, at in enumerate(sent, start=1):
            if at < before:
                waits += _first(sightings.seen, path, number, at)
    return median(waits) if waits else None


def _first(
    seen: Sequence[tuple[float, dict[str, int]]], path: str, number: int, sent: float
) -> list[float]:
    return next(([at - sent] for at, found in seen if found.get(path, 0) >= number), [])
