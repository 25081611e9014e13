"""Meters made ready for folding: one plan per event type, with every path and choice resolved.

Nothing of a meter's definition is looked at per event. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from aggregator.cells import ADDERS, Adder
from aggregator.values import Reason, dimension, lookup, member, number
from common.contracts.meters import Meter

GROUP_BYTES: Final = 1_040
"""Bytes of JSON that the values of a group may take together: the row keys of all services hold
the group, and PostgreSQL's index entries end at 2,704 bytes."""
DIMENSION_BYTES: Final = 256

Read = Callable[[Any], int | Decimal | str | Reason]
"""From an event's data to the meter's value."""
Group = Callable[[Any], tuple[str, ...]]
"""From an event's data to the values of the meter's dimensions, in the order of their names."""


@dataclass(frozen=True, slots=True)
class CompiledMeter:
    """A meter as the fold uses it. `names`: its dimensions, in order. `read`: None for a count,
    which reads nothing."""

    meter: Meter
    names: tuple[str, ...]
    read: Read | None
    group: Group
    add: Adder


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
    return CompiledMeter(
        meter=meter,
        names=names,
        read=_reader(meter),
        group=_grouper([meter.group_by[name] for name in names]),
        add=ADDERS[meter.aggregation],
    )


def _reader(meter: Meter) -> Read | None:
    if meter.value is None:
        return None
    convert: Read = member if meter.aggregation == "unique_count" else number
    parts = tuple(meter.value.split("."))
    if len(parts) > 1:
        return lambda data: convert(lookup(data, parts))
    (key,) = parts
    return lambda data: convert(data.get(key) if data.__class__ is dict else None)


def _grouper(paths: list[str]) -> Group:
    if not paths:
        return _no_group
    budget = min(DIMENSION_BYTES, GROUP_BYTES // len(paths))
    split = [tuple(path.split(".")) for path in paths]
    if len(split) == 1:
        (parts,) = split
        if len(parts) == 1:
            (key,) = parts
            return lambda data: (
                dimension(data.get(key) if data.__class__ is dict else None, budget),
            )
        return lambda data: (dimension(lookup(data, parts), budget),)
    return lambda data: tuple([dimension(lookup(data, parts), budget) for parts in split])


def _no_group(_: Any) -> tuple[str, ...]:
    return ()
