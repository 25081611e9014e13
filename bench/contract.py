"""What a benchmark is, and what it finds."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from bench.site import Site

Family = Literal["ceilings", "stages", "endtoend", "growth"]
FAMILIES: tuple[Family, ...] = ("ceilings", "stages", "endtoend", "growth")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One repetition.

    `units` things were done in `seconds`. `cpu_seconds`: what each process used meanwhile.
    `latencies_ms`: one for each operation whose time was taken, by what was timed. `rss_bytes`:
    resident memory at the end. `faults`: why the figure does not count; a run whose sums are not
    exact has one.
    """

    units: int
    seconds: float
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    latencies_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rss_bytes: Mapping[str, int] = field(default_factory=dict)
    faults: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class About:
    """`unit`: what is counted, in the singular. `what`: one sentence for the reader of the table.
    `ceilings`: names of the benchmarks whose rate is the ceiling of this one."""

    name: str
    family: Family
    unit: str
    what: str
    ceilings: tuple[str, ...] = ()


class Repetition(Protocol):
    """Measures once; `number` counts from 0."""

    async def __call__(self, number: int, /) -> Mapping[str, Measurement]: ...


class Benchmark(Protocol):
    """One or several figures that are taken together, because one run's output is the next one's
    input. `setup` opens what they need, gives the function that measures once, and closes it."""

    @property
    def abouts(self) -> Sequence[About]:
        """What its figures are."""
        ...

    def setup(self, site: "Site") -> AbstractAsyncContextManager[Repetition]: ...
