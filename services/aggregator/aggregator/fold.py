"""Events to usage: {series: {slot: cell}}. Pure, exact, and indifferent to order.

A slot is ten seconds, named by the Unix milliseconds of its start.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from aggregator.cells import Cell, exact
from aggregator.compile import CompiledMeter, Plan
from aggregator.values import Reason
from common.contracts.events import CloudEvent

SLOT_MS: Final = 10_000
HOUR_MS: Final = 3_600_000


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
_Bucket = tuple[tuple[str, tuple[str, ...]], int]
"""((tenant, group), slot)"""


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
            columns = _Columns(batch)
            for compiled in meters:
                _fold_meter(compiled, columns, folded)
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


class _Columns:
    """Events of one type, by column; what meters with the same dimensions share is made once."""

    def __init__(self, batch: list[Timed]) -> None:
        self.batch = batch
        self.data = [timed.event.data for timed in batch]
        self.times_ms = [timed.at_ms for timed in batch]
        self._tenants = [timed.event.subject for timed in batch]
        self._slots = [at_ms - at_ms % SLOT_MS for at_ms in self.times_ms]
        self._buckets: dict[tuple[str, ...], list[_Bucket]] = {}
        self._counts: dict[tuple[str, ...], Counter[_Bucket]] = {}

    def buckets(self, compiled: CompiledMeter) -> list[_Bucket]:
        """The bucket of each event."""
        found = self._buckets.get(compiled.paths)
        if found is None:
            places = zip(self._tenants, compiled.groups(self.data), strict=True)
            found = self._buckets[compiled.paths] = list(zip(places, self._slots, strict=True))
        return found

    def counts(self, compiled: CompiledMeter) -> Counter[_Bucket]:
        """How many events there are of each bucket."""
        found = self._counts.get(compiled.paths)
        if found is None:
            found = self._counts[compiled.paths] = Counter(self.buckets(compiled))
        return found


def _fold_meter(compiled: CompiledMeter, columns: _Columns, folded: Folded) -> None:
    slug, series = compiled.meter.slug, folded.series
    aggregator = compiled.aggregator
    cells = _Cells(slug, series)
    if compiled.reads is None or aggregator is None:
        for bucket, count in columns.counts(compiled).items():
            cells.of(bucket).count += count
        return
    buckets, times_ms = columns.buckets(compiled), columns.times_ms
    values = compiled.reads(columns.data)
    if Reason in set(map(type, values)):
        readable = []
        for place, value in enumerate(values):
            if isinstance(value, Reason):
                folded.unreadable.append(Unreadable(slug, columns.batch[place], value))
            else:
                readable.append(place)
        buckets = [buckets[place] for place in readable]
        values = [values[place] for place in readable]
        times_ms = [times_ms[place] for place in readable]
        counts = Counter(buckets)
    else:
        counts = columns.counts(compiled)
    gathered, add = aggregator.gather(buckets, values, times_ms), aggregator.add
    for bucket, count in counts.items():
        cell = cells.of(bucket)
        cell.count += count
        add(cell, gathered[bucket])


class _Cells:
    """The cells of one meter."""

    def __init__(self, slug: str, series: Series) -> None:
        self._slug, self._series = slug, series
        self._slots: dict[tuple[str, tuple[str, ...]], dict[int, Cell]] = {}

    def of(self, bucket: _Bucket) -> Cell:
        """The cell of a bucket, which is made if there is none."""
        place, slot = bucket
        slots = self._slots.get(place)
        if slots is None:
            tenant, group = place
            slots = self._series.setdefault(SeriesKey(tenant, self._slug, group), {})
            self._slots[place] = slots
        cell = slots.get(slot)
        if cell is None:
            cell = slots[slot] = Cell()
        return cell
