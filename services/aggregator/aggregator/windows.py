"""The windows of a usage query, and which rollup rows fill them exactly. Pure.

Windows tile [from, to), half open, and are cut at its ends. Days, months and hours are those of
the wall clock in the time zone asked for: a day may have 23, 24.5 or 25 hours, an hour 30 to 90
minutes where clocks move by less than an hour.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from common.periods import SLOT, day_start, slot_of

Window = Literal["minute", "hour", "day", "month", "none"]
WINDOWS_MAX: Final = 10_000
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class TooManyWindows(ValueError):
    """The range holds more than `WINDOWS_MAX` windows."""


class Run(NamedTuple):
    """Rows of one table whose buckets lie in [`start`, `end`)."""

    table: str
    start: datetime
    end: datetime


def bounds(window: Window, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The edges of the windows that tile [`start`, `end`), in UTC: n windows have n + 1 edges.

    `start` < `end`, both on slots. Raises `TooManyWindows`.
    """
    edges = [start]
    for edge in _edges(window, start, zone):
        if edge >= end:
            break
        if len(edges) >= WINDOWS_MAX:
            raise TooManyWindows
        edges.append(edge)
    return [*edges, end]


def runs(edges: Sequence[datetime]) -> list[Run]:
    """What to read so that each window is filled exactly: days and hours of UTC where they lie
    whole within a window, slots for the rest. Neighbours in the same table are joined."""
    found: list[Run] = []
    for start, end in pairwise(edges):
        for run in _pieces(start, end):
            if found and found[-1].table == run.table and found[-1].end == run.start:
                found[-1] = found[-1]._replace(end=run.end)
            else:
                found.append(run)
    return found


def _pieces(start: datetime, end: datetime) -> Iterator[Run]:
    first_hour, last_hour = _ceil(start, _HOUR), _floor(end, _HOUR)
    if first_hour >= last_hour:
        yield Run("slots", start, end)
        return
    if start < first_hour:
        yield Run("slots", start, first_hour)
    first_day, last_day = _ceil(first_hour, _DAY), _floor(last_hour, _DAY)
    if first_day >= last_day:
        yield Run("hours", first_hour, last_hour)
    else:
        if first_hour < first_day:
            yield Run("hours", first_hour, first_day)
        yield Run("days", first_day, last_day)
        if last_day < last_hour:
            yield Run("hours", last_day, last_hour)
    if last_hour < end:
        yield Run("slots", last_hour, end)


def _edges(window: Window, start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Where windows begin after `start`, in order, without end."""
    match window:
        case "minute":
            edge = _floor(start, _MINUTE)
            while True:
                edge += _MINUTE
                yield edge
        case "hour":
            edge = start
            while True:
                edge = _next_hour(edge, zone)
                yield edge
        case "day":
            day = start.astimezone(zone).date()
            while True:
                day += _DAY
                yield day_start(day, zone)
        case "month":
            local = start.astimezone(zone).date().replace(day=1)
            while True:
                local = (local + timedelta(days=31)).replace(day=1)
                yield day_start(local, zone)
        case "none":
            return


def _next_hour(after: datetime, zone: ZoneInfo) -> datetime:
    """The next instant at which the local clock shows a full hour or jumps into another one."""
    local = after.astimezone(zone)
    straight = after + _HOUR - timedelta(minutes=local.minute, seconds=local.second)
    if straight.astimezone(zone).utcoffset() == local.utcoffset():
        return straight
    hour = local.replace(tzinfo=None, minute=0, second=0)
    at = slot_of(after) + SLOT
    while True:
        there = at.astimezone(zone).replace(tzinfo=None)
        if (there.minute, there.second) == (0, 0) or there.replace(minute=0, second=0) != hour:
            return at
        at += SLOT


def _floor(at: datetime, width: timedelta) -> datetime:
    return at - (at - _EPOCH) % width


def _ceil(at: datetime, width: timedelta) -> datetime:
    return _floor(at + width - timedelta(microseconds=1), width)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
