"""Runs benchmarks one after the other on one site, and keeps every repetition."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench.ceilings.kafka import KafkaCeiling
from bench.contract import About, Benchmark, Measurement
from bench.site import Site


@dataclass
class Findings:
    """Of each benchmark, in the order of their first figures: what it is, and its repetitions."""

    abouts: dict[str, About] = field(default_factory=dict)
    repetitions: dict[str, list[Measurement]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether everything could be measured and every run was exact."""
        faults = [one.faults for many in self.repetitions.values() for one in many]
        return not self.failures and not any(faults)

    def add(self, about: About, measurement: Measurement) -> None:
        self.abouts[about.name] = about
        self.repetitions.setdefault(about.name, []).append(measurement)


async def warm(site: Site) -> None:
    """Lets the broker's code be optimised: a fresh one takes a third less."""
    if not site.scale.warm_events:
        return
    rounds = -(-site.scale.warm_events // site.scale.events)
    site.say(f"warming the broker with {rounds * site.scale.events:,} events")
    async with KafkaCeiling().setup(site) as measure:
        for number in range(rounds):
            await measure(number)


async def run(
    site: Site,
    benchmarks: Iterable[Benchmark],
    findings: Findings,
    *,
    keep: Callable[[], None] = lambda: None,
) -> None:
    """Measures each, several times, and calls `keep` after each. One that fails is noted, and the
    others go on."""
    for benchmark in benchmarks:
        names = ", ".join(about.name for about in benchmark.abouts)
        site.say(names)
        try:
            await _repeat(site, benchmark, findings)
        except Exception as error:
            findings.failures[names] = f"{type(error).__name__}: {error}"
            site.say(f"  failed: {findings.failures[names]}")
        keep()


async def _repeat(site: Site, benchmark: Benchmark, findings: Findings) -> None:
    abouts = {about.name: about for about in benchmark.abouts}
    async with benchmark.setup(site) as measure:
        for number in range(site.scale.repetitions_of(benchmark.abouts[0].family)):
            for name, measurement in (await measure(number)).items():
                findings.add(abouts[name], measurement)
                site.say(f"  {_line(name, measurement)}")


def _line(name: str, found: Measurement) -> str:
    rate = found.units / found.seconds if found.seconds else 0
    spent = ", ".join(
        f"{process} {seconds / found.units * 1e6:.1f}"
        for process, seconds in sorted(found.cpu_seconds.items(), key=lambda item: -item[1])[:5]
    )
    wrong = f"  NOT COUNTED: {'; '.join(found.faults)}" if found.faults else ""
    return f"{name}: {rate:,.0f}/s in {found.seconds:.1f} s; CPU us a unit: {spent}{wrong}"
