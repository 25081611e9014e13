"""The processes of a run: every service twice, and two more aggregators for the days of plenty."""

from stack.environment import Surroundings
from stack.processes import PROCESSES, Process

SECOND = 40
"""Ports of the second processes lie this far behind those of the first."""

TWINS = tuple(
    Process(f"{each.name}-{number}", each.service, each.command, each.offset + shift)
    for each in PROCESSES
    for number, shift in ((1, 0), (2, SECOND))
)
SPARES = (
    Process("aggregator-3", "aggregator", "all", 62),
    Process("aggregator-4", "aggregator", "all", 63),
)
ALL = TWINS + SPARES
BY_NAME = {each.name: each for each in ALL}
COLLECTORS = tuple(each.name for each in TWINS if each.service == "collector")
AT_KAFKA = tuple(each for each in ALL if each.service != "collector")
FIRST_DOOR = 82
"""Kafka has a listener of its own for each process that uses it, from this offset on."""

LEASE_SECONDS = 4
"""Short, so that a frozen process loses its partitions within a fault, and others take over."""
FREEZE_SECONDS = (LEASE_SECONDS * 1.5, LEASE_SECONDS * 2.5)


def of_service(service: str) -> list[str]:
    """The names of the processes that serve a service's API."""
    return [each.name for each in TWINS if each.service == service and each.command != "deduper"]


def door(around: Surroundings, process: Process) -> int:
    """The port of the listener that Kafka has for the process, behind its link."""
    return around.ports.base + FIRST_DOOR + AT_KAFKA.index(process)
