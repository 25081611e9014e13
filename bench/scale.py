"""How much is measured: the whole bench, a look in two minutes, a smoke test in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`events`: in a run at full speed. `small_requests`: in a run of requests of one event; those
    of 10 and 100 have up to ten times as many events. `ids`, `rows`, `catalog_tenants`, `meters`:
    what growth fills in before it measures again. `probes`: decisions at the edge and invoices
    that are followed in a repetition."""

    name: str
    repetitions: int
    warm_events: int
    events: int
    small_requests: int
    latency_seconds: float
    probes: int
    tenants: int
    groups: int
    ceiling_rows: int
    commits: int
    ids: int
    rows: int
    catalog_tenants: int
    meters: int


FULL = Scale(
    name="full",
    repetitions=5,
    warm_events=3_000_000,
    events=1_000_000,
    small_requests=40_000,
    latency_seconds=30,
    probes=20,
    tenants=250,
    groups=10,
    ceiling_rows=500_000,
    commits=2_000,
    ids=30_000_000,
    rows=1_000_000,
    catalog_tenants=10_000,
    meters=500,
)
QUICK = Scale(
    name="quick",
    repetitions=2,
    warm_events=600_000,
    events=200_000,
    small_requests=5_000,
    latency_seconds=6,
    probes=6,
    tenants=250,
    groups=10,
    ceiling_rows=100_000,
    commits=300,
    ids=1_000_000,
    rows=50_000,
    catalog_tenants=1_000,
    meters=50,
)
TINY = Scale(
    name="tiny",
    repetitions=1,
    warm_events=0,
    events=4_000,
    small_requests=100,
    latency_seconds=0.5,
    probes=2,
    tenants=20,
    groups=2,
    ceiling_rows=2_000,
    commits=20,
    ids=2_000,
    rows=200,
    catalog_tenants=20,
    meters=5,
)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
