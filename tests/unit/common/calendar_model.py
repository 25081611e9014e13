"""When local days begin, said a second time: from a zone's offsets alone, in whole seconds.

A zone is a list of stretches between changes of its clocks. Nothing here knows the product.
"""

from bisect import bisect_right
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import cache
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
MARGIN = timedelta(days=800)


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
        for (begin, offset), following in zip(
            self.changes[index:], [*self._starts[index + 1 :], None], strict=True
        ):
            at = max(begin, midnight - offset)
            if following is None or at < following:
                return at
        raise AssertionError("the last stretch is open")

    def month_starts(self, anchor_day: int, first_year: int, last_year: int) -> list[int]:
        """Where the periods of an anchor day begin, from January of the first year on."""
        return [
            self.day_start(
                date(year, month, min(anchor_day, monthrange(year, month)[1])).toordinal()
            )
            for year in range(first_year, last_year)
            for month in range(1, 13)
        ]
