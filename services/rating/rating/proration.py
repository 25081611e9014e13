"""How much of a period's fee is due when the service covers only a part of the period."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal
from zoneinfo import ZoneInfo

from common.periods import days_between
from rating.exact import Exact, over

_HOUR: Final = Decimal(3_600_000_000)
"""In microseconds."""


class Misfit(ValueError):
    """The instants do not make a part of a period. `field` names the one that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Proration:
    """The service covers [`service_from`, `service_to`) of the period [`period_from`,
    `period_to`); all aware.

    granularity `second`: elapsed seconds over the period's seconds, so that an hour more or less
    on the days that clocks change counts. `day`: calendar days of `time_zone`, the day that a
    boundary falls into counting from its midnight. Raises `Misfit`.
    """

    service_from: datetime
    service_to: datetime
    period_from: datetime
    period_to: datetime
    time_zone: str = "UTC"
    granularity: Literal["second", "day"] = "second"

    def __post_init__(self) -> None:
        if self.period_to <= self.period_from:
            raise Misfit("period_to", "must be after period_from")
        if self.service_from < self.period_from:
            raise Misfit("service_from", "must not be before period_from")
        if self.service_to < self.service_from:
            raise Misfit("service_to", "must not be before service_from")
        if self.service_to > self.period_to:
            raise Misfit("service_to", "must not be after period_to")
        if self.granularity == "day" and not self.units()[1]:
            raise Misfit("granularity", "the period has no midnight to count days by: use second")

    def units(self) -> tuple[int, int]:
        """(covered, whole) in days or microseconds, by the granularity; whole is above 0."""
        service = self.service_from, self.service_to
        period = self.period_from, self.period_to
        if self.granularity == "day":
            zone = ZoneInfo(self.time_zone)
            return days_between(*service, zone), days_between(*period, zone)
        return _elapsed_microseconds(*service), _elapsed_microseconds(*period)

    def share(self) -> Fraction:
        """The covered part of the period: 0 to 1."""
        return Fraction(*self.units())

    def describe(self) -> str:
        """The share in words: `15 of 31 days`."""
        covered, whole = self.units()
        if self.granularity == "day":
            return f"{covered:,} of {whole:,} days"
        return f"{_seconds(covered)} of {_seconds(whole)} seconds"


def hours_between(start: datetime, end: datetime) -> Exact:
    """Elapsed hours, 0 where `end` is before `start`."""
    return over(Decimal(max(0, _elapsed_microseconds(start, end))), _HOUR)


def _elapsed_microseconds(start: datetime, end: datetime) -> int:
    """Through UTC: the difference of two local times ignores the clock changes between them."""
    return (end.astimezone(UTC) - start.astimezone(UTC)) // timedelta(microseconds=1)


def _seconds(microseconds: int) -> str:
    whole, rest = divmod(microseconds, 1_000_000)
    return f"{whole:,}" + (f".{rest:06}".rstrip("0") if rest else "")
