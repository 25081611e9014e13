"""A cell: what a fold knows of one series in one bucket while it is still adding. Pure.

Sums are exact only inside `exact()`, because Python's arithmetic takes its precision from the
context; the fold enters it once.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext

from common.aggregates import EXACT
from common.contracts.rollups import Aggregate


class Cell:
    """An aggregate under construction. `latest_ms`: Unix milliseconds of `latest`."""

    __slots__ = ("count", "latest", "latest_ms", "max", "members", "min", "sum")

    def __init__(self) -> None:
        self.count = 0
        self.sum: int | Decimal | None = None
        self.min: int | Decimal | None = None
        self.max: int | Decimal | None = None
        self.latest: int | Decimal | None = None
        self.latest_ms: int | None = None
        self.members: set[str] | None = None

    def merge(self, other: "Cell") -> None:
        """Take in a disjoint set of events; members are not merged upwards, slots keep them."""
        self.count += other.count
        if other.sum is not None:
            self.sum = other.sum if self.sum is None else self.sum + other.sum
        if other.min is not None:
            self.min = other.min if self.min is None else min(self.min, other.min)
        if other.max is not None:
            self.max = other.max if self.max is None else max(self.max, other.max)
        if other.latest is not None and other.latest_ms is not None:
            take_latest(self, other.latest, other.latest_ms)

    def aggregate(self) -> Aggregate:
        """The cell as the value that leaves the fold."""
        return Aggregate(
            count=self.count,
            sum=_decimal(self.sum),
            min=_decimal(self.min),
            max=_decimal(self.max),
            latest=_decimal(self.latest),
            latest_at=None if self.latest_ms is None else instant(self.latest_ms),
        )


def exact() -> AbstractContextManager[Context]:
    """Arithmetic that is exact or raises."""
    return localcontext(EXACT)


def instant(milliseconds: int) -> datetime:
    """Unix milliseconds as an aware time, without going through floating point."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def take_latest(cell: Cell, value: int | Decimal, at_ms: int) -> None:
    """The later one; of two at the same millisecond the greater, so order does not matter."""
    if (
        cell.latest is None
        or cell.latest_ms is None
        or (at_ms, value) > (cell.latest_ms, cell.latest)
    ):
        cell.latest, cell.latest_ms = value, at_ms
