"""The aims, and whether a run reached them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.summary import Row


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is asked: of a benchmark's median rate; with `timed`, of a p99 in milliseconds; with
    `cost_of`, of its CPU time a unit as a multiple of that benchmark's; with `memory_of`, of the
    resident memory of `process` as a multiple of what it was in that benchmark, at worst."""

    what: str
    benchmark: str
    bound: float
    timed: str | None = None
    cost_of: str | None = None
    memory_of: str | None = None
    process: str = ""

    @property
    def is_ratio(self) -> bool:
        """Whether it is asked beside another benchmark."""
        return self.cost_of is not None or self.memory_of is not None

    @property
    def is_upper(self) -> bool:
        """Whether less is better."""
        return self.timed is not None or self.is_ratio


AIMS = (
    Aim(what="events/s end to end, random ids", benchmark="endtoend.events", bound=100_000),
    Aim(
        what="p99 from usage to charge, 1,000 changing subscriptions/s",
        benchmark="rating.changing",
        bound=3_000,
        timed="charge",
    ),
    Aim(
        what="charge lines a CPU second, graduated with 5 tiers",
        benchmark="rating.model.graduated",
        bound=20_000,
    ),
    Aim(
        what="simulation of a draft over 10,000 tenants",
        benchmark="rating.simulation",
        bound=60_000,
        timed="simulation",
    ),
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
    Aim(
        what="CPU an event with 30 million ids and a full catalog, to that with none",
        benchmark="growth.large.events",
        bound=1.10,
        cost_of="growth.small.events",
    ),
    Aim(
        what="the same for batches",
        benchmark="growth.large.batches",
        bound=1.10,
        cost_of="growth.small.batches",
    ),
    Aim(
        what="memory of rating after 100,000 subscriptions, to that after 50,000",
        benchmark="rating.memory.all",
        bound=1.10,
        memory_of="rating.memory.half",
        process="rating",
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
        below = self.found <= self.aim.bound
        return below if self.aim.is_upper else self.found >= self.aim.bound


def judge(rows: Sequence[Row], aims: Sequence[Aim] = AIMS) -> list[Verdict]:
    """One verdict an aim, in their order."""
    by_name = {row.name: row for row in rows}
    return [Verdict(aim=aim, found=_found(by_name, aim)) for aim in aims]


def _found(rows: Mapping[str, Row], aim: Aim) -> float | None:
    row = rows.get(aim.benchmark)
    if row is None or row.rate is None:
        return None
    if aim.cost_of is not None:
        other = rows.get(aim.cost_of)
        return row.cpu_us_total / other.cpu_us_total if other and other.cpu_us_total else None
    if aim.memory_of is not None:
        other = rows.get(aim.memory_of)
        before = other.rss_mib.get(aim.process, ()) if other else ()
        after = row.rss_mib.get(aim.process, ())
        return max((a / b for a, b in zip(after, before, strict=False)), default=None)
    if aim.timed is None:
        return row.rate.middle
    latency = row.latencies.get(aim.timed)
    return latency.p99 if latency else None
