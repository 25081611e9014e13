"""The processes of the product: which command each runs and on which port.

A worker keeps its name (`TOLLGATE_WORKER_ID`) over restarts, so it takes its own leases back.
"""

from dataclasses import dataclass

DATABASES = ("ingest", "aggregator", "rating", "invoicer", "throttler")
"""Services with a schema; the collector keeps its spool on the node instead."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `offset` is its port's distance from the stack's base."""

    name: str
    service: str
    command: str
    offset: int

    @property
    def script(self) -> str:
        return f"tollgate-{self.service}"


PROCESSES = (
    Process("collector", "collector", "run", 0),
    Process("ingest-api", "ingest", "api", 1),
    Process("ingest-deduper", "ingest", "deduper", 11),
    Process("aggregator", "aggregator", "all", 2),
    Process("rating", "rating", "all", 3),
    Process("invoicer", "invoicer", "all", 4),
    Process("throttler", "throttler", "all", 5),
)


def process(name: str) -> Process:
    """The process of that name; KeyError lists the names there are."""
    for each in PROCESSES:
        if each.name == name:
            return each
    raise KeyError(f"no process {name!r}: {', '.join(each.name for each in PROCESSES)}")
