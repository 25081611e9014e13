"""Billing periods: half open, in the tenant's time zone, anchored to a day of the month.

Local midnight decides where a period begins; how long it lasts (23-hour days, months of 28 to 31
days) is the calendar's business. Instants lie on slots of ten seconds: usage is kept by the slot.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo


@dataclass(frozen=True, order=True)
class Period:
    """[`start`, `end`) in UTC. `whole_start` and `whole_end` bound the calendar period that it
    is a part of: proration is the part's length over the whole's."""

    start: datetime
    end: datetime
    whole_start: datetime
    whole_end: datetime


SLOT = timedelta(seconds=10)
"""The finest bucket of usage, and so the resolution of every billing boundary."""


def slot_of(instant: datetime) -> datetime:
    """The start, in UTC, of the slot that `instant` (aware) lies in."""
    utc = instant.astimezone(UTC)
    return utc.replace(second=utc.second - utc.second % SLOT.seconds, microsecond=0)


def next_slot(instant: datetime) -> datetime:
    """The first slot boundary at or after `instant`."""
    start = slot_of(instant)
    return start if start == instant else start + SLOT


_DAY: Final = timedelta(days=1)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC; where clocks skip midnight, the first after it."""
    midnight = datetime.combine(day, time(), zone)
    instant = midnight.astimezone(UTC)
    while instant.astimezone(zone).date() < day:
        instant += timedelta(minutes=1)
    return instant


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """The local day that `instant` lies in: where clocks go back over midnight, the day that has
    begun stays. So later instants never lie in earlier days."""
    day = instant.astimezone(zone).date()
    following = day + _DAY
    return following if day_start(following, zone) <= instant else day


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """How many local days there are from the one that `start` lies in up to, not with, the one
    that `end` lies in. A day that the zone skipped, as Samoa did in 2011, does not count."""
    first, last = day_of(start, zone), day_of(end, zone)
    count = (last - first).days
    if _offset(end, zone) - _offset(start, zone) < timedelta(hours=20):
        return count
    days = [first + index * _DAY for index in range(count + 1)]
    starts = [day_start(day, zone) for day in days]
    return sum(one < other for one, other in pairwise(starts))


def anchor(year: int, month: int, day: int) -> date:
    """The anchor day in a month; a day that the month does not have means its last."""
    return date(year, month, min(day, monthrange(year, month)[1]))


def calendar_period(at: datetime, anchor_day: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The monthly period [start, end) in UTC that contains `at`."""
    local = at.astimezone(zone)
    year, month = local.year, local.month
    # Start a month later than needed: a skipped midnight can push a start past `at`.
    year, month = _shift(year, month, 1)
    while (start := day_start(anchor(year, month, anchor_day), zone)) > at:
        year, month = _shift(year, month, -1)
    following = day_start(anchor(*_shift(year, month, 1), anchor_day), zone)
    return start, following


def periods(
    *,
    anchor_day: int,
    zone: ZoneInfo,
    start: datetime,
    end: datetime | None,
    until: datetime,
    cuts: Iterable[datetime] = (),
) -> Iterator[Period]:
    """The periods of a subscription that begin before `until`, in order, without a hole.

    They tile [`start`, `end`): calendar periods cut at `start`, at `end` and at every cut.
    """
    edges = sorted(cut for cut in cuts if cut > start and (end is None or cut < end))
    at = start
    while at < until and (end is None or at < end):
        whole_start, whole_end = calendar_period(at, anchor_day, zone)
        stop = whole_end if end is None else min(whole_end, end)
        stop = min([edge for edge in edges if at < edge < stop], default=stop)
        yield Period(at, stop, whole_start, whole_end)
        at = stop


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    """How far local time is ahead of UTC."""
    return instant.astimezone(zone).utcoffset() or timedelta()


def _shift(year: int, month: int, months: int) -> tuple[int, int]:
    index = year * 12 + month - 1 + months
    return index // 12, index % 12 + 1
