"""How each aggregation takes in the values of many events: by bucket, then into cells. Pure.

A gatherer sees all values of a meter at once, with the bucket and the time of each. What it finds
for a bucket is added to the bucket's cell, which may hold more already; an average is a sum beside
the count.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from aggregator.cells import Cell, take_latest

Number = int | Decimal
Gather = Callable[[Sequence[Hashable], Sequence[Any], Sequence[int]], Mapping[Any, Any]]
"""(buckets, values, times in Unix ms) of as many events to what they come to, by bucket."""
Add = Callable[[Cell, Any], None]
"""What was gathered for a cell's bucket is added to it; the count is not its business."""


class Aggregator(NamedTuple):
    """The two halves of an aggregation."""

    gather: Gather
    add: Add


def _sums(
    buckets: Sequence[Hashable], values: Sequence[Number], times_ms: Sequence[int]
) -> Mapping[Hashable, Number]:
    sums: dict[Hashable, Number] = {}
    get = sums.get
    for bucket, value in zip(buckets, values, strict=True):
        sums[bucket] = get(bucket, 0) + value
    return sums


def _add_sum(cell: Cell, found: Number) -> None:
    cell.sum = found if cell.sum is None else cell.sum + found


def _least(
    buckets: Sequence[Hashable], values: Sequence[Number], times_ms: Sequence[int]
) -> Mapping[Hashable, Number]:
    least: dict[Hashable, Number] = {}
    for bucket, value in zip(buckets, values, strict=True):
        known = least.get(bucket)
        if known is None or value < known:
            least[bucket] = value
    return least


def _add_least(cell: Cell, found: Number) -> None:
    if cell.min is None or found < cell.min:
        cell.min = found


def _greatest(
    buckets: Sequence[Hashable], values: Sequence[Number], times_ms: Sequence[int]
) -> Mapping[Hashable, Number]:
    greatest: dict[Hashable, Number] = {}
    for bucket, value in zip(buckets, values, strict=True):
        known = greatest.get(bucket)
        if known is None or value > known:
            greatest[bucket] = value
    return greatest


def _add_greatest(cell: Cell, found: Number) -> None:
    if cell.max is None or found > cell.max:
        cell.max = found


def _latest(
    buckets: Sequence[Hashable], values: Sequence[Number], times_ms: Sequence[int]
) -> Mapping[Hashable, tuple[int, Number]]:
    latest: dict[Hashable, tuple[int, Number]] = {}
    for bucket, one in zip(buckets, zip(times_ms, values, strict=True), strict=True):
        known = latest.get(bucket)
        if known is None or one > known:
            latest[bucket] = one
    return latest


def _add_latest(cell: Cell, found: tuple[int, Number]) -> None:
    at_ms, value = found
    take_latest(cell, value, at_ms)


def _members(
    buckets: Sequence[Hashable], values: Sequence[str], times_ms: Sequence[int]
) -> Mapping[Hashable, set[str]]:
    members: dict[Hashable, set[str]] = {}
    for bucket, value in zip(buckets, values, strict=True):
        members.setdefault(bucket, set()).add(value)
    return members


def _add_members(cell: Cell, found: set[str]) -> None:
    cell.members = found if cell.members is None else cell.members | found


AGGREGATORS: Final[dict[str, Aggregator]] = {
    "sum": Aggregator(_sums, _add_sum),
    "avg": Aggregator(_sums, _add_sum),
    "min": Aggregator(_least, _add_least),
    "max": Aggregator(_greatest, _add_greatest),
    "latest": Aggregator(_latest, _add_latest),
    "unique_count": Aggregator(_members, _add_members),
}
"""A count needs none: it is the number of events in the bucket."""
