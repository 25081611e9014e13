"""When local days begin, said a second time: from a zone's offsets alone, in whole seconds.

A zone is a list of stretches between changes of its clocks. Nothing here knows the product.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from math import inf
from zoneinfo import ZoneInfo

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks used to skip midnight
    "America/Havana",  # midnight came twice
    "America/St_Johns",  # clocks used to change a minute after midnight
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",  # +05:45, +05:30 until 1986
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Chatham",  # +12:45 and +13:45
    "Africa/Casablanca",  # back for Ramadan
    "Antarctica/Troll",  # two hours
)
DAY = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()
MARGIN = timedelta(days=2200)


class Clocks:
    """The clocks of a zone from some years to others. Instants are seconds of Unix time."""

    def __init__(self, zone: str, first_year: int, last_year: int) -> None:
        start = datetime(first_year, 1, 1, tzinfo=UTC) - MARGIN
        end = datetime(last_year, 1, 1, tzinfo=UTC) + MARGIN
        self._zone = ZoneInfo(zone)
        self.changes = self._find(int(start.timestamp()), int(end.timestamp()))
        self._starts = [at for at, _ in self.changes]

    def offset(self, at: int) -> int:
        """Seconds ahead of UTC."""
        seen = datetime.fromtimestamp(at, UTC).astimezone(self._zone).utcoffset()
        assert seen is not None
        return int(seen.total_seconds())

    def _find(self, start: int, end: int) -> list[tuple[int, int]]:
        """(instant, offset from there on), found by halving days whose ends differ."""
        found = [(start, self.offset(start))]
        for day in range(start, end, DAY):
            low, high = day, day + DAY
            if self.offset(high) == found[-1][1]:
                continue
            while high - low > 1:
                middle = (low + high) // 2
                if self.offset(middle) == found[-1][1]:
                    low = middle
                else:
                    high = middle
            found.append((high, self.offset(high)))
        return found

    @cache  # noqa: B019 (as old as the clocks)
    def day_start(self, ordinal: int) -> int:
        """The first instant at which the local date is that day or a later one."""
        midnight = (ordinal - EPOCH_DAY) * DAY
        index = max(0, bisect_right(self._starts, midnight - 2 * DAY) - 1)
        for (begin, offset), following in self._stretches(index):
            at = max(begin, midnight - offset)
            if at < following:
                return at
        raise AssertionError("the last stretch is open")

    def clock_shows(self, ordinal: int, seconds: int, *, again: bool) -> int:
        """When the clock shows `seconds` after the midnight of a day: the first time, or the last
        one where it does so `again`. Where it skips that time, as if it had not been set yet."""
        wall = (ordinal - EPOCH_DAY) * DAY + seconds
        found, skipped = [], []
        index = max(0, bisect_right(self._starts, wall - 2 * DAY) - 1)
        for (begin, offset), following in self._stretches(index):
            at = wall - offset
            if at >= following:
                skipped.append(at)
            elif at >= begin:
                found.append(at)
            else:
                break
        if found:
            return max(found) if again else min(found)
        return skipped[-1]

    def _stretches(self, index: int) -> Iterator[tuple[tuple[int, int], float]]:
        """From the one with that number on, each with its end."""
        for number in range(index, len(self.changes)):
            is_last = number + 1 == len(self.changes)
            yield self.changes[number], inf if is_last else self._starts[number + 1]

    def month_starts(self, anchor_day: int, first_year: int, last_year: int) -> list[int]:
        """Where the periods of an anchor day begin, from January of the first year on."""
        return [
            self.day_start(anchor_ordinal(year * 12 + month, anchor_day))
            for year in range(first_year, last_year)
            for month in range(12)
        ]


def anchor_ordinal(month: int, anchor_day: int) -> int:
    """An anchor day, or the last day, of a month counted from January of the year 0."""
    year, index = divmod(month, 12)
    return date(year, index + 1, min(anchor_day, monthrange(year, index + 1)[1])).toordinal()
