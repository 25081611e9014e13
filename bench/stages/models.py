"""The pure function that rates, by price model."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.contract import About, Measurement, Repetition
from bench.site import Site
from bench.stages.prices import MODELS, Work, charge_lines

CPU_SECONDS: Mapping[str, float] = {"full": 1.0, "quick": 0.2, "tiny": 0.01}
PREFIX = "rating.model."


class PriceModels:
    """Seconds are CPU seconds, so that a busy machine changes little. No process but this one."""

    abouts = tuple(
        About(
            name=f"{PREFIX}{slug}",
            family="stages",
            unit="charge line",
            what=f"the pure function, {work.what}; a CPU second",
        )
        for slug, work in MODELS.items()
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        cpu_seconds = CPU_SECONDS[site.scale.name]

        async def measure(_: int) -> Mapping[str, Measurement]:
            return await asyncio.to_thread(_measure_all, cpu_seconds)

        yield measure


def _measure_all(cpu_seconds: float) -> dict[str, Measurement]:
    return {f"{PREFIX}{slug}": _measure(work, cpu_seconds) for slug, work in MODELS.items()}


def _measure(work: Work, cpu_seconds: float) -> Measurement:
    charge_lines(work, cpu_seconds / 20)
    lines, spent = charge_lines(work, cpu_seconds)
    return Measurement(units=lines, seconds=spent, cpu_seconds={"bench": spent})
