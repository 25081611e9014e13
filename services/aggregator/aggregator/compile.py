"""Meters made ready for folding: one plan per event type, with every path and choice resolved.

Nothing of a meter's definition is looked at per event. Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from aggregator.gather import AGGREGATORS, Aggregator
from aggregator.values import Reason, dimension, lookup, member, number, numbers
from common.contracts.meters import Meter

GROUP_BYTES: Final = 1_040
"""Bytes of JSON that the values of a group may take together: the row keys of all services hold
the group, and PostgreSQL's index entries end at 2,704 bytes."""
DIMENSION_BYTES: Final = 256
KNOWN_MAX: Final = 65_536

Read = Callable[[Any], int | Decimal | str | Reason]
"""From an event's data to the meter's value."""
Group = Callable[[Any], tuple[str, ...]]
"""From an event's data to the values of the meter's dimensions, in the order of their names."""
Reads = Callable[[Sequence[Any]], Sequence[int | Decimal | str | Reason]]
Groups = Callable[[Sequence[Any]], list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class CompiledMeter:
    """A meter as the fold uses it. `names` and `paths`: its dimensions, in order. `read` and
    `aggregator`: None for a count, which reads nothing. The plural ones do many events at once."""

    meter: Meter
    names: tuple[str, ...]
    paths: tuple[str, ...]
    read: Read | None
    reads: Reads | None
    group: Group
    groups: Groups
    aggregator: Aggregator | None


Plan = Mapping[str, tuple[CompiledMeter, ...]]
"""The meters of each event type."""


def compile_meters(meters: Iterable[Meter]) -> Plan:
    """The plan of `meters`."""
    plan: dict[str, tuple[CompiledMeter, ...]] = {}
    for meter in sorted(meters, key=lambda meter: meter.slug):
        plan[meter.event_type] = (*plan.get(meter.event_type, ()), compile_meter(meter))
    return plan


def compile_meter(meter: Meter) -> CompiledMeter:
    """One meter, resolved."""
    names = tuple(sorted(meter.group_by))
    paths = tuple(meter.group_by[name] for name in names)
    group = _grouper(paths)
    read, reads = _readers(meter)
    return CompiledMeter(
        meter=meter,
        names=names,
        paths=paths,
        read=read,
        reads=reads,
        group=group,
        groups=_groupers(paths, group),
        aggregator=AGGREGATORS.get(meter.aggregation),
    )


def _readers(meter: Meter) -> tuple[Read, Reads] | tuple[None, None]:
    if meter.value is None:
        return None, None
    found = _finder(meter.value)
    if meter.aggregation == "unique_count":
        return (
            lambda data: member(found(data)),
            lambda datas: [member(found(data)) for data in datas],
        )
    return (
        lambda data: number(found(data)),
        lambda datas: numbers([found(data) for data in datas]),
    )


def _finder(path: str) -> Callable[[Any], Any]:
    """What stands at a path."""
    parts = tuple(path.split("."))
    if len(parts) > 1:
        return lambda data: lookup(data, parts)
    (key,) = parts
    return lambda data: data.get(key) if data.__class__ is dict else None


def _grouper(paths: tuple[str, ...]) -> Group:
    if not paths:
        return _no_group
    budget = min(DIMENSION_BYTES, GROUP_BYTES // len(paths))
    finders = [_finder(path) for path in paths]
    if len(finders) == 1:
        (found,) = finders
        return lambda data: (dimension(found(data), budget),)
    return lambda data: tuple([dimension(found(data), budget) for found in finders])


def _groupers(paths: tuple[str, ...], group: Group) -> Groups:
    """`group` over many events; one plain dimension is looked up in what was seen before."""
    if len(paths) != 1:
        return lambda datas: [group(data) for data in datas]
    found = _finder(paths[0])
    known = _Known(lambda text: (dimension(text, DIMENSION_BYTES),))

    def groups(datas: Sequence[Any]) -> list[tuple[str, ...]]:
        values = [found(data) for data in datas]
        if set(map(type, values)) == {str}:
            known.make_room(len(values))
            return list(map(known.__getitem__, values))
        return [(dimension(value, DIMENSION_BYTES),) for value in values]

    return groups


class _Known(dict[str, tuple[str, ...]]):
    """The groups of texts, made once; long ones are not remembered."""

    def __init__(self, make: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> tuple[str, ...]:
        made = self._make(text)
        if len(text) <= DIMENSION_BYTES:
            self[text] = made
        return made

    def make_room(self, size: int) -> None:
        """Forget, rather than hold many more than `KNOWN_MAX`."""
        if len(self) + size > KNOWN_MAX and len(self) > KNOWN_MAX // 2:
            self.clear()


def _no_group(_: Any) -> tuple[str, ...]:
    return ()
