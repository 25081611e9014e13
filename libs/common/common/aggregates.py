"""Combining aggregates of disjoint sets of events into one value; exact and order-free."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final, Literal, get_args

from common.contracts.rollups import Aggregate

Aggregation = Literal["count", "sum", "min", "max", "avg", "latest", "unique_count"]
AGGREGATIONS: Final[tuple[str, ...]] = get_args(Aggregation)

EXACT: Final = Context(
    prec=1000, Emax=10_000, Emin=-10_000, traps=[InvalidOperation, Overflow, Inexact]
)
"""Sums in this context are exact or raise; 1000 digits are never reached by 38-digit values."""
AVERAGE_DIGITS: Final = Context(prec=38)
"""An average need not be representable: it is given to 38 significant digits."""


def merge(one: Aggregate, other: Aggregate) -> Aggregate:
    """The aggregate of the union of two disjoint sets."""
    latest, latest_at = _later(one, other)
    return Aggregate(
        count=one.count + other.count,
        sum=_both(one.sum, other.sum, EXACT.add),
        min=_both(one.min, other.min, min),
        max=_both(one.max, other.max, max),
        latest=latest,
        latest_at=latest_at,
    )


def combine(aggregation: str, aggregates: Iterable[Aggregate]) -> Decimal | None:
    """The meter's value over all `aggregates`; None where there is nothing to tell.

    count and sum of nothing are 0; min, max, avg and latest of nothing are None. For
    unique_count the caller counts distinct members instead.
    """
    total = Aggregate()
    for aggregate in aggregates:
        total = merge(total, aggregate)
    return value_of(aggregation, total)


def value_of(aggregation: str, total: Aggregate) -> Decimal | None:
    """The value that `aggregation` reads from an aggregate."""
    match aggregation:
        case "count":
            return Decimal(total.count)
        case "sum":
            return total.sum if total.sum is not None else Decimal(0)
        case "min":
            return total.min
        case "max":
            return total.max
        case "latest":
            return total.latest
        case "avg":
            if not total.count or total.sum is None:
                return None
            return AVERAGE_DIGITS.divide(total.sum, Decimal(total.count))
        case _:
            raise ValueError(f"{aggregation} is not read from an aggregate")


def _both(one: Decimal | None, other: Decimal | None, join) -> Decimal | None:  # type: ignore[no-untyped-def]
    if one is None:
        return other
    return one if other is None else join(one, other)


def _later(one: Aggregate, other: Aggregate) -> tuple[Decimal | None, datetime | None]:
    candidates = [
        (a.latest_at, a.latest)
        for a in (one, other)
        if a.latest_at is not None and a.latest is not None
    ]
    if not candidates:
        return None, None
    at, value = max(candidates)
    return value, at
