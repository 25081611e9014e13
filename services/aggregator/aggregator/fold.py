"""Events to usage: {series: {slot: cell}}. Pure, exact, and indifferent to order.

A slot is ten seconds, named by the Unix milliseconds of its start.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from aggregator.cells import Cell, exact
from aggregator.compile import CompiledMeter, Plan
from aggregator.values import Reason
from common.contracts.events import CloudEvent

SLOT_MS: Final = 10_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class SeriesKey(NamedTuple):
    """What a series is. `group`: the values of the meter's dimensions, in order of their names."""

    tenant: str
    meter: str
    group: tuple[str, ...]


class Timed(msgspec.Struct, frozen=True, gc=False):
    """An event with its time (Unix ms) resolved, and its place: the record and the item in it."""

    event: CloudEvent
    at_ms: int
    offset: int
    item: int


class Unreadable(NamedTuple):
    """An event that a meter could not read, and why."""

    meter: str
    timed: Timed
    reason: Reason


Series = dict[SeriesKey, dict[int, Cell]]


@dataclass
class Folded:
    """What some events come to. `unmetered`: events of a type that no meter reads."""

    series: Series = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    unmetered: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.series and not self.unreadable


def fold(plan: Plan, events: Iterable[Timed], into: Folded | None = None) -> Folded:
    """Fold `events` by the meters of `plan`, adding to `into` if it is given.

    Folding in parts gives what folding the whole gives, in whatever order.
    """
    folded = into if into is not None else Folded()
    by_type: dict[str, list[Timed]] = {}
    for timed in events:
        by_type.setdefault(timed.event.type, []).append(timed)
    with exact():
        for event_type, batch in by_type.items():
            meters = plan.get(event_type)
            if meters is None:
                folded.unmetered += len(batch)
                continue
            for compiled in meters:
                _fold_meter(compiled, batch, folded)
    return folded


def roll_up(slots: dict[int, Cell], width_ms: int) -> dict[int, Cell]:
    """The cells of wider buckets (`width_ms`, whole hours or days of UTC), without members."""
    if len(slots) == 1:  # a cell alone is the wider one as well; who reads it adds nothing to it
        ((start, cell),) = slots.items()
        return {start - start % width_ms: cell}
    wide: dict[int, Cell] = {}
    with exact():
        for slot, cell in slots.items():
            start = slot - slot % width_ms
            into = wide.get(start)
            if into is None:
                into = wide[start] = Cell()
            into.merge(cell)
    return wide


def _fold_meter(compiled: CompiledMeter, batch: list[Timed], folded: Folded) -> None:
    read, group, add = compiled.read, compiled.group, compiled.add
    slug, series, unreadable = compiled.meter.slug, folded.series, folded.unreadable
    known: dict[tuple[str, tuple[str, ...]], dict[int, Cell]] = {}
    is_grouped = bool(compiled.names)
    for timed in batch:
        event, at_ms = timed.event, timed.at_ms
        data: Any = event.data
        value = 1 if read is None else read(data)
        if value.__class__ is Reason:
            unreadable.append(Unreadable(slug, timed, value))
            continue
        place = (event.subject, group(data) if is_grouped else ())
        slots = known.get(place)
        if slots is None:
            slots = known[place] = series.setdefault(SeriesKey(place[0], slug, place[1]), {})
        start = at_ms - at_ms % SLOT_MS
        cell = slots.get(start)
        if cell is None:
            cell = slots[start] = Cell()
        cell.count += 1
        add(cell, value, at_ms)
