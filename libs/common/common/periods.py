"""Billing periods: half open, in the tenant's time zone, on the calendar or from an anniversary.

The local clock decides where a period of days, weeks or months begins; how long it lasts (23-hour
days, months of 28 to 31 days) is the calendar's business. Only hours are elapsed time. Instants
lie on slots of ten seconds: usage is kept by the slot.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo

IntervalUnit = Literal["month", "week", "day", "hour"]


@dataclass(frozen=True, order=True)
class Period:
    """[`start`, `end`) in UTC. `whole_start` and `whole_end` bound the calendar period that it
    is a part of: proration is the part's length over the whole's."""

    start: datetime
    end: datetime
    whole_start: datetime
    whole_end: datetime

    @property
    def whole(self) -> tuple[datetime, datetime]:
        """The calendar period. A month and a year may begin together: only both ends tell."""
        return self.whole_start, self.whole_end


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
    """The first instant of a local day, in UTC; where clocks skip midnight, the first after it:
    a time that does not exist is read by the offset before the gap (PEP 495), so it follows it."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


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
    return Recurrence("month", 1, zone.key, anchor_day).around(at)


_MONDAY: Final = date(1970, 1, 5)
"""Weeks of the calendar begin on Mondays, and are counted from this one."""
_FIRST_DAY: Final = date(2000, 1, 1)
"""Days and hours of the calendar are counted from its midnight."""


@dataclass(frozen=True)
class Recurrence:
    """Billing periods of `count` `unit`s that follow each other without end, in both directions.

    On the calendar (`since` None) months begin on `anchor_day` (31: the last day) and are counted
    from January, so that three of them are a quarter; weeks begin on Monday. From an anniversary
    they are counted from `since`, and begin at its day and time of the local clock: on the last
    day where a month lacks the day, and after the gap where the clock skips the time.
    """

    unit: IntervalUnit
    count: int
    zone: str
    anchor_day: int = 1
    since: datetime | None = None

    def around(self, at: datetime) -> tuple[datetime, datetime]:
        """The period [start, end) in UTC that contains `at`."""
        return self.bounds(self.index(at))

    def bounds(self, index: int) -> tuple[datetime, datetime]:
        """The period with that number."""
        return self._edge(index), self._edge(index + 1)

    def index(self, at: datetime) -> int:
        """The number of the period that contains `at`."""
        index = self._guess(at)
        # A skipped midnight can push an edge past the guess; a skipped day makes an empty period.
        while self._edge(index) > at:
            index -= 1
        while self._edge(index + 1) <= at:
            index += 1
        return index

    def _guess(self, at: datetime) -> int:
        if self.unit == "hour":
            return (at - self._hours_base) // timedelta(hours=self.count)
        local = at.astimezone(self._zone).date()
        if self.unit == "month":
            return (local.year * 12 + local.month - 1 - self._first_month) // self.count
        return (local - self._first_day).days // (self.count * self._unit_days)

    def _edge(self, index: int) -> datetime:
        """Where that period begins. Many subscriptions share a recurrence, so edges are kept."""
        return _edge_of(self, index)

    def begin(self, index: int) -> datetime:
        """Where that period begins, by the calendar."""
        if self.unit == "hour":
            return self._hours_base + index * timedelta(hours=self.count)
        if self.unit == "month":
            year, month = divmod(self._first_month + index * self.count, 12)
            day = anchor(year, month + 1, self._day)
        else:
            day = self._first_day + timedelta(days=index * self.count * self._unit_days)
        if self._local is None:
            return day_start(day, self._zone)
        first = datetime.combine(day, self._local.time().replace(fold=0), self._zone)
        if not self._local.fold:
            return first.astimezone(UTC)
        # The second time that a clock shows it; where it skips it, the first reading is later.
        return max(first.astimezone(UTC), first.replace(fold=1).astimezone(UTC))

    @property
    def _unit_days(self) -> int:
        return 7 if self.unit == "week" else 1

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @cached_property
    def _local(self) -> datetime | None:
        return None if self.since is None else self.since.astimezone(self._zone)

    @property
    def _day(self) -> int:
        return self.anchor_day if self._local is None else self._local.day

    @property
    def _first_month(self) -> int:
        return 0 if self._local is None else self._local.year * 12 + self._local.month - 1

    @property
    def _first_day(self) -> date:
        if self._local is not None:
            return self._local.date()
        return _MONDAY if self.unit == "week" else _FIRST_DAY

    @cached_property
    def _hours_base(self) -> datetime:
        return self.since or day_start(_FIRST_DAY, self._zone)


@lru_cache(maxsize=8192)
def _edge_of(recurrence: Recurrence, index: int) -> datetime:
    return recurrence.begin(index)


def periods(
    recurrence: Recurrence,
    *,
    start: datetime,
    end: datetime | None,
    until: datetime,
    cuts: Iterable[datetime] = (),
    since: datetime | None = None,
) -> Iterator[Period]:
    """The periods of a service that begin before `until`, in order, without a hole.

    They tile [`start`, `end`): periods of the recurrence cut at `start`, at `end` and at every
    cut. With `since`, those that end by then are left out.
    """
    edges = list(cuts)
    at = start
    if since is not None and end is not None and since >= end:
        return
    if since is not None and since > start:
        at = max(start, recurrence.around(since)[0])
        at = max([edge for edge in edges if at < edge <= since], default=at)
    index = recurrence.index(at)
    while at < until and (end is None or at < end):
        whole_start, whole_end = recurrence.bounds(index)
        if whole_end <= at:
            index += 1
            continue
        stop = whole_end if end is None else min(whole_end, end)
        stop = min([edge for edge in edges if at < edge < stop], default=stop)
        yield Period(at, stop, whole_start, whole_end)
        at = stop


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    """How far local time is ahead of UTC."""
    return instant.astimezone(zone).utcoffset() or timedelta()
