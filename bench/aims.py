"""The aims, and whether a run reached them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.summary import Row


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is asked of a benchmark's median rate or, with `timed`, of a p99 in milliseconds."""

    what: str
    benchmark: str
    bound: float
    timed: str | None = None


AIMS = (
    Aim(what="events/s end to end, random ids", benchmark="endtoend.events", bound=100_000),
    Aim(what="events/s end to end, batches", benchmark="endtoend.batches", bound=150_000),
    Aim(what="requests/s of one event, one process", benchmark="ingest.api.1", bound=6_000),
    Aim(what="p99 of a 2xx at half load", benchmark="endtoend.half", bound=100, timed="2xx"),
    Aim(what="p99 until usage is visible", benchmark="endtoend.half", bound=1_000, timed="visible"),
    Aim(what="p99 until the charge", benchmark="endtoend.half", bound=3_000, timed="charge"),
    Aim(
        what="p99 until the decision at the edge",
        benchmark="endtoend.half",
        bound=3_000,
        timed="decision",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`found` is None when the run did not measure it."""

    aim: Aim
    found: float | None

    @property
    def reached(self) -> bool | None:
        if self.found is None:
            return None
        return self.found <= self.aim.bound if self.aim.timed else self.found >= self.aim.bound


def judge(rows: Sequence[Row], aims: Sequence[Aim] = AIMS) -> list[Verdict]:
    """One verdict an aim, in their order."""
    by_name = {row.name: row for row in rows}
    return [Verdict(aim=aim, found=_found(by_name.get(aim.benchmark), aim)) for aim in aims]


def _found(row: Row | None, aim: Aim) -> float | None:
    if row is None:
        return None
    if aim.timed is None:
        return row.rate.middle if row.rate else None
    latency = row.latencies.get(aim.timed)
    return latency.p99 if latency else None
