"""How much of a period's fee is due when the service covers only a part of the period."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Proration:
    """The service covers [`service_from`, `service_to`) of the period [`period_from`,
    `period_to`); all aware.

    granularity `second`: elapsed seconds over the period's seconds, so that an hour more or less
    on the days that clocks change counts. `day`: calendar days of `time_zone`, the day that a
    boundary falls into counting from its midnight.
    """

    service_from: datetime
    service_to: datetime
    period_from: datetime
    period_to: datetime
    time_zone: str = "UTC"
    granularity: Literal["second", "day"] = "second"

    def __post_init__(self) -> None:
        if not self.period_from <= self.service_from <= self.service_to <= self.period_to:
            raise ValueError("the service must lie within the period")
        if self.period_from == self.period_to:
            raise ValueError("the period is empty")

    def units(self) -> tuple[int, int]:
        """(covered, whole) in the unit of the granularity; whole is above 0."""
        if self.granularity == "day":
            zone = ZoneInfo(self.time_zone)
            first = self.period_from.astimezone(zone).date()
            covered = (
                self.service_to.astimezone(zone).date() - self.service_from.astimezone(zone).date()
            ).days
            return covered, max(1, (self.period_to.astimezone(zone).date() - first).days)
        return (
            _elapsed_microseconds(self.service_from, self.service_to),
            _elapsed_microseconds(self.period_from, self.period_to),
        )

    def share(self) -> Fraction:
        """The covered part of the period: 0 to 1."""
        covered, whole = self.units()
        return min(Fraction(1), Fraction(covered, whole))

    def describe(self) -> str:
        """The share in words."""
        covered, whole = self.units()
        if self.granularity == "second":
            covered, whole = covered // 1_000_000, whole // 1_000_000
        return f"{covered:,} of {whole:,} {self.granularity}s"


def _elapsed_microseconds(start: datetime, end: datetime) -> int:
    """Through UTC: the difference of two local times ignores the clock changes between them."""
    return (end.astimezone(UTC) - start.astimezone(UTC)) // timedelta(microseconds=1)
