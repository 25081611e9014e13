"""Every kind of fault: how often it is drawn, what it hits, for how long, and who does it."""

from collections.abc import Callable
from typing import Final

from chaos import cast
from chaos.faults.clock import SHIFTS_SECONDS, WrongClock
from chaos.faults.contract import Fault
from chaos.faults.disk import FullDisk
from chaos.faults.freeze import Freeze
from chaos.faults.kill import Kill
from chaos.faults.links import Disturb
from chaos.faults.restart import RollingRestart
from chaos.faults.scale import Half, Twice
from chaos.schedule import Kind, Planned
from chaos.site import Site

_SERVICES = [
    [each.name for each in cast.TWINS if each.name.startswith(("ingest-deduper", "aggregator"))],
    [each.name for each in cast.TWINS],
]
"""Every second one hits those that decide what counts, which a rare blow would not find out."""
_TWINS_AT_KAFKA = [each.name for each in cast.TWINS if each in cast.AT_KAFKA]
_LINKS = [
    [f"kafka>{name}" for name in _TWINS_AT_KAFKA],
    [f"postgres>{name}" for name in _TWINS_AT_KAFKA],
    [f"ingest>{name}" for name in cast.COLLECTORS],
    [f"throttler>{name}" for name in cast.COLLECTORS],
]

_ALL: Final[tuple[tuple[Kind, Callable[[Site, Planned], Fault]], ...]] = (
    (Kind("kill", 10, _SERVICES), Kill),
    (Kind("freeze", 6, _SERVICES, cast.FREEZE_SECONDS), Freeze),
    (
        Kind("cut", 6, _LINKS, (0.5, 6.0), choices={"mode": ("cut", "silent")}),
        Disturb,
    ),
    (
        Kind("deaf", 3, _LINKS, (0.5, 4.0), choices={"mode": ("deaf",)}),
        Disturb,
    ),
    (
        Kind(
            "slow",
            4,
            _LINKS,
            (2.0, 8.0),
            choices={"mode": ("slow",), "delay_seconds": (0.05, 0.2, 0.5)},
        ),
        Disturb,
    ),
    (Kind("kafka", 2, [["kafka"]], rest_seconds=25), Kill),
    (Kind("postgres", 2, [["postgres"]], rest_seconds=12), Kill),
    (Kind("disk", 2, [list(cast.COLLECTORS)], (2.0, 8.0), rest_seconds=10), FullDisk),
    (
        Kind(
            "clock",
            2,
            _SERVICES,
            (6.0, 20.0),
            rest_seconds=8,
            choices={"shift_seconds": SHIFTS_SECONDS},
        ),
        WrongClock,
    ),
    (Kind("rolling", 1, [["everything"]], rest_seconds=200), RollingRestart),
    (Kind("twice", 1, [["aggregator"]], (8.0, 15.0), rest_seconds=20), Twice),
    (
        Kind("half", 1, [["aggregator-1", "aggregator-2"]], (8.0, 15.0), rest_seconds=20),
        Half,
    ),
)

KINDS: Final = tuple(kind for kind, _ in _ALL)
_MAKERS = {kind.name: maker for kind, maker in _ALL}


def make(site: Site, planned: Planned) -> Fault:
    """The planned fault, ready to begin."""
    return _MAKERS[planned.kind](site, planned)
