"""How much is measured: the whole bench, a look in two minutes, a smoke test in seconds."""

from dataclasses import dataclass

from bench.contract import Family


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`events`: in a run at full speed; end to end there are `sustained` times as many, so that the
    moment from the last request to its events' visibility weighs little. `small_requests`: in a
    run of requests of one event; those of 10 have ten times as many events. `latency_seconds`: of
    a run at half load, in which up to `decisions` are followed to the edge. `ids`, `rows`,
    `catalog_tenants`, `meters`: what growth fills in before it measures."""

    name: str
    repetitions: int
    growth_repetitions: int
    warm_events: int
    events: int
    small_requests: int
    latency_seconds: float
    decisions: int
    invoices: int
    ceiling_rows: int
    commits: int
    ids: int
    rows: int
    catalog_tenants: int
    meters: int
    sustained: int = 1
    tenants: int = 250
    groups: int = 10

    def repetitions_of(self, family: Family) -> int:
        return self.growth_repetitions if family == "growth" else self.repetitions


FULL = Scale(
    name="full",
    repetitions=4,
    growth_repetitions=3,
    warm_events=6_000_000,
    events=600_000,
    small_requests=20_000,
    latency_seconds=20,
    decisions=30,
    invoices=5,
    ceiling_rows=400_000,
    commits=2_000,
    ids=30_000_000,
    rows=1_000_000,
    catalog_tenants=10_000,
    meters=500,
    sustained=3,
)
QUICK = Scale(
    name="quick",
    repetitions=2,
    growth_repetitions=1,
    warm_events=1_000_000,
    events=200_000,
    small_requests=5_000,
    latency_seconds=5,
    decisions=6,
    invoices=2,
    ceiling_rows=100_000,
    commits=300,
    ids=1_000_000,
    rows=20_000,
    catalog_tenants=200,
    meters=20,
)
TINY = Scale(
    name="tiny",
    repetitions=1,
    growth_repetitions=1,
    warm_events=0,
    events=4_000,
    small_requests=100,
    latency_seconds=0.5,
    decisions=2,
    invoices=1,
    ceiling_rows=2_000,
    commits=20,
    ids=2_000,
    rows=200,
    catalog_tenants=20,
    meters=5,
    tenants=20,
    groups=2,
)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
