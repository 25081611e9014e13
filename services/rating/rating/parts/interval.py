"""How long a plan's billing periods are: "month", "quarter", "year", or a custom number of hours,
days or weeks: {"weeks": 2}."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from common.periods import IntervalUnit, Recurrence
from rating.prices.fields import Fields

Alignment = Literal["calendar", "anniversary"]
ALIGNMENTS: Final[tuple[Alignment, ...]] = ("calendar", "anniversary")
MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
CUSTOM: Final[dict[str, IntervalUnit]] = {"hours": "hour", "days": "day", "weeks": "week"}
MAX_COUNT: Final = {"hours": 24 * 366, "days": 3660, "weeks": 520}


@dataclass(frozen=True)
class Interval:
    """`count` `unit`s, on the tenant's calendar or from the subscription's anniversary."""

    unit: IntervalUnit
    count: int
    alignment: Alignment = "calendar"

    def recurrence(self, *, start: datetime, anchor_day: int, zone: str) -> Recurrence:
        """The billing periods of a subscription that began at `start`."""
        since = start if self.alignment == "anniversary" else None
        return Recurrence(self.unit, self.count, zone, anchor_day, since)

    @property
    def is_month(self) -> bool:
        """Whether a period is one month."""
        return (self.unit, self.count) == ("month", 1)

    def written(self) -> str | dict[str, int]:
        """As a plan says it."""
        if self.unit == "month":
            return next(name for name, count in MONTHS.items() if count == self.count)
        return {f"{self.unit}s": self.count}

    def words(self) -> str:
        """For a reader."""
        written = self.written()
        if isinstance(written, str):
            return written
        return f"{self.count} {self.unit}s" if self.count > 1 else self.unit


def read_interval(fields: Fields) -> Interval:
    """The interval in `interval` and `alignment`."""
    alignment = fields.choice("alignment", ALIGNMENTS, default="calendar")
    aligned: Alignment = "anniversary" if alignment == "anniversary" else "calendar"
    value: Any = fields.raw("interval")
    if value is None:
        return Interval("month", 1, aligned)
    if isinstance(value, str) and value in MONTHS:
        return Interval("month", MONTHS[value], aligned)
    if isinstance(value, dict) and len(value) == 1:
        [(name, count)] = value.items()
        if name in CUSTOM and type(count) is int and 1 <= count <= MAX_COUNT[name]:
            return Interval(CUSTOM[name], count, aligned)
    fields.refuse(
        "interval",
        "must be month, quarter, year, or a number of hours, days or weeks,"
        ' for example {"weeks": 2}',
    )
    return Interval("month", 1, aligned)
