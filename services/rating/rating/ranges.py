"""A range of time that somebody asks about, and the billing periods that it means. Pure.

A range is told in days, which begin at midnight of each tenant's own clock, or in instants. It
means the billing periods that begin in it, whole: so October means everybody's October, whatever
the time zone, and ranges that follow each other share no period.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from common.periods import day_start
from rating.billing import Billed, Plans, Span, billing_periods
from rating.subscription import EARLIEST, LATEST, Refused, Subscription, effective_span

EASTERNMOST: Final = timedelta(hours=14)
"""A day begins somewhere on earth this long before it does in UTC."""


@dataclass(frozen=True)
class Range:
    """[`start`, `end`), both days, or both instants that lie on slots."""

    start: date
    end: date

    def of(self, zone: str) -> Span:
        """The range for a tenant with that clock."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.start, self.end
        place = ZoneInfo(zone)
        return day_start(self.start, place), day_start(self.end, place)


def range_of(start: date, end: date, *, now: datetime) -> Range:
    """The range from days or instants; raises `Refused` where it cannot be meant. Its end has come
    by `now`, that of days somewhere on earth."""
    if isinstance(start, datetime) and isinstance(end, datetime):
        first, last = effective_span(start, end)
        if last is None or last > now:
            raise Refused("invalid_request", "must not be after now", "to")
        return Range(first, last)
    if isinstance(start, datetime) or isinstance(end, datetime):
        raise Refused("invalid_request", "both must be days, or both instants", "to")
    if not EARLIEST.date() <= start < LATEST.date():
        raise Refused("invalid_request", "must lie in the years 2000 to 2099", "from")
    if end <= start:
        raise Refused("invalid_request", "must be a later day than the one before", "to")
    if datetime(end.year, end.month, end.day, tzinfo=UTC) - EASTERNMOST > now:
        raise Refused("invalid_request", "must not be after now", "to")
    return Range(start, end)


def begun_in(subscription: Subscription, plans: Plans, span: Span, *, by: datetime) -> list[Billed]:
    """The billing periods that begin in `span`, and have by `by`, with all their parts: a period
    that is cut (by a change of plan, a pause, a trial's end) begins with its first one."""
    start, end = span
    near = billing_periods(subscription, plans, by=by, spans=[span])
    begins: dict[Span, datetime] = {}
    for one in near:
        begins.setdefault(one.billing.period.whole, one.billing.period.start)
    return [one for one in near if start <= begins[one.billing.period.whole] < end]


def spans_of(found: Iterable[Billed]) -> list[Span]:
    """From when to when the periods last, those without a gap between them as one; in order."""
    spans: list[Span] = []
    for one in found:
        period = one.billing.period
        if spans and spans[-1][1] == period.start:
            spans[-1] = spans[-1][0], period.end
        else:
            spans.append((period.start, period.end))
    return spans


def lies_in(instant: datetime, spans: Iterable[Span]) -> bool:
    """Whether one of the half-open spans has the instant."""
    return any(start <= instant < end for start, end in spans)
