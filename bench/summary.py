"""From repetitions to the figures that a reader compares. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.contract import Family, Measurement
from bench.run import Findings
from bench.statistics import Spread, quantile, spread


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds, over all repetitions."""

    count: int
    p50: float
    p99: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One benchmark. `rate` is in units a second, None when no repetition counts. `cpu_us`: the
    median repetition's CPU microseconds a unit by process. `ratios`: rate to each ceiling's.
    `rss_mib`: resident memory after the first repetition and after the last, by process."""

    name: str
    family: Family
    unit: str
    what: str
    counted: int
    rate: Spread | None
    cpu_us: Mapping[str, float]
    ratios: Mapping[str, float]
    latencies: Mapping[str, Latency]
    rss_mib: Mapping[str, tuple[float, float]]
    faults: Sequence[str]

    @property
    def cpu_us_total(self) -> float:
        return sum(self.cpu_us.values())


def rows(findings: Findings) -> list[Row]:
    """One for each benchmark, in the order in which they ran."""
    rates = {name: _rate(found) for name, found in findings.repetitions.items()}
    made = []
    for name, repetitions in findings.repetitions.items():
        about, rate = findings.abouts[name], rates[name]
        counted = [one for one in repetitions if not one.faults]
        ratios = {}
        for ceiling in about.ceilings:
            known = rates.get(ceiling)
            if rate is not None and known is not None and known.middle > 0:
                ratios[ceiling] = rate.middle / known.middle
        made.append(
            Row(
                name=name,
                family=about.family,
                unit=about.unit,
                what=about.what,
                counted=len(counted),
                rate=rate,
                cpu_us=_cpu_us(counted),
                ratios=ratios,
                latencies=_latencies(counted),
                rss_mib=_rss(counted),
                faults=[fault for one in repetitions for fault in one.faults],
            )
        )
    return made


def _rate(repetitions: Sequence[Measurement]) -> Spread | None:
    rates = [one.units / one.seconds for one in repetitions if not one.faults and one.seconds]
    return spread(rates) if rates else None


def _cpu_us(counted: Sequence[Measurement]) -> dict[str, float]:
    """The median of each process; those below a hundredth of a microsecond a unit left out."""
    names = sorted({name for one in counted for name in one.cpu_seconds})
    found = {
        name: spread([one.cpu_seconds.get(name, 0.0) / one.units * 1e6 for one in counted]).middle
        for name in names
    }
    return {name: us for name, us in found.items() if us >= 0.01}


def _latencies(counted: Sequence[Measurement]) -> dict[str, Latency]:
    names = list(dict.fromkeys(name for one in counted for name in one.latencies_ms))
    found = {}
    for name in names:
        values = [value for one in counted for value in one.latencies_ms.get(name, ())]
        if values:
            found[name] = Latency(
                count=len(values),
                p50=quantile(values, 0.5),
                p99=quantile(values, 0.99),
                high=max(values),
            )
    return found


def _rss(counted: Sequence[Measurement]) -> dict[str, tuple[float, float]]:
    """PostgreSQL is left out: each of its processes counts the buffers that they share."""
    if not counted:
        return {}
    first, last = counted[0].rss_bytes, counted[-1].rss_bytes
    return {
        name: (first[name] / 2**20, last[name] / 2**20)
        for name in sorted(first.keys() & last.keys())
        if not name.startswith("postgres")
    }
