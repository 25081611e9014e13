"""Every anchor day in every month of thirty years, in zones whose clocks do what clocks can do.

Periods must be those of a model that knows only when the offsets change, and must tile time.
`make calendar-sweep` looks from 1985 on, and at every anchor day around every change.
"""

import os
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from common.periods import IntervalUnit, Recurrence, calendar_period, day_start, days_between
from tests.unit.common.calendar_model import EPOCH_DAY, ZONES, Clocks, anchor_ordinal

FULL = "CALENDAR_SWEEP" in os.environ
FIRST_YEAR, LAST_YEAR = (1985 if FULL else 2005), 2035
NEAR_A_CHANGE = (-86_400, -3600, -1, 0, 1, 1800, 86_400) if FULL else (-1, 0, 3600)
ANCHORS_NEAR_A_CHANGE = range(1, 32) if FULL else (1, 15, 31)


@pytest.fixture(scope="module", params=ZONES)
def clocks(request: pytest.FixtureRequest) -> tuple[ZoneInfo, Clocks]:
    return ZoneInfo(request.param), Clocks(request.param, FIRST_YEAR, LAST_YEAR)


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_every_anchor_day_tiles_the_years(clocks: tuple[ZoneInfo, Clocks]) -> None:
    zone, model = clocks
    for anchor_day in range(1, 32):
        edges = model.month_starts(anchor_day, FIRST_YEAR, LAST_YEAR)
        found = [edges[0]]
        for _ in edges[1:]:
            start, end = calendar_period(utc(found[-1]), anchor_day, zone)
            assert start.timestamp() == found[-1]
            found.append(int(end.timestamp()))
        assert found == edges


def test_around_every_change_of_the_clocks(clocks: tuple[ZoneInfo, Clocks]) -> None:
    zone, model = clocks
    for anchor_day in ANCHORS_NEAR_A_CHANGE:
        edges = model.month_starts(anchor_day, FIRST_YEAR, LAST_YEAR)
        for change, _ in model.changes:
            for seconds in NEAR_A_CHANGE:
                at = change + seconds
                if edges[0] <= at < edges[-1]:
                    index = bisect_right(edges, at)
                    expected = utc(edges[index - 1]), utc(edges[index])
                    assert calendar_period(utc(at), anchor_day, zone) == expected


MONDAY = date(1970, 1, 5).toordinal()
FIRST_DAY = date(2000, 1, 1).toordinal()
LENGTHS: list[tuple[IntervalUnit, int]] = [
    ("month", 3),
    ("month", 12),
    ("week", 1),
    ("week", 2),
    ("day", 10),
    ("hour", 36),
]


def day_number(unit: IntervalUnit, count: int, index: int, first: date) -> int:
    """The day on which a period begins that is counted from `first`."""
    if unit == "month":
        return anchor_ordinal(first.year * 12 + first.month - 1 + index * count, first.day)
    return first.toordinal() + index * count * (7 if unit == "week" else 1)


def agree(recurrence: Recurrence, expected: Callable[[int], int]) -> None:
    """Periods number by number, and that both ends of each are found in it."""
    index = recurrence.index(utc(int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())))
    last = datetime(LAST_YEAR, 1, 1, tzinfo=UTC).timestamp()
    edge = expected(index)
    while edge < last:
        following = expected(index + 1)
        assert recurrence.bounds(index) == (utc(edge), utc(following)), index
        if edge < following:
            assert recurrence.index(utc(edge)) == recurrence.index(utc(following - 1)) == index
        edge, index = following, index + 1


@pytest.mark.parametrize(("unit", "count"), LENGTHS)
def test_other_lengths_on_the_calendar(
    clocks: tuple[ZoneInfo, Clocks], unit: IntervalUnit, count: int
) -> None:
    zone, model = clocks
    for anchor_day in (1, 15, 31) if unit == "month" else (1,):
        recurrence = Recurrence(unit, count, zone.key, anchor_day)
        if unit == "hour":
            hours_from = model.day_start(FIRST_DAY)
            agree(recurrence, lambda index: hours_from + index * count * 3600)  # noqa: B023
        elif unit == "month":
            agree(
                recurrence,
                lambda index: model.day_start(anchor_ordinal(index * count, anchor_day)),  # noqa: B023
            )
        else:
            first = date.fromordinal(MONDAY if unit == "week" else FIRST_DAY)
            agree(
                recurrence,
                lambda index: model.day_start(day_number(unit, count, index, first)),  # noqa: B023
            )


@pytest.mark.parametrize(("unit", "count"), [*LENGTHS, ("month", 1)])
def test_every_length_from_anniversaries_near_changes_of_the_clocks(
    clocks: tuple[ZoneInfo, Clocks], unit: IntervalUnit, count: int
) -> None:
    zone, model = clocks
    midday = int(datetime(2012, 1, 31, 12, 30, 10, tzinfo=UTC).timestamp())
    near = [at + 1800 for at, _ in model.changes[10:14]]
    for began in [midday, *near]:
        local = utc(began).astimezone(zone)
        clock = local.hour * 3600 + local.minute * 60 + local.second

        def expected(index: int) -> int:
            if unit == "hour":
                return began + index * count * 3600  # noqa: B023
            ordinal = day_number(unit, count, index, local.date())  # noqa: B023
            return model.clock_shows(ordinal, clock, again=bool(local.fold))  # noqa: B023

        agree(Recurrence(unit, count, zone.key, since=utc(began)), expected)


def test_every_day_begins_where_the_clocks_say(clocks: tuple[ZoneInfo, Clocks]) -> None:
    zone, model = clocks
    first, last = date(FIRST_YEAR, 1, 1).toordinal(), date(LAST_YEAR, 1, 1).toordinal()
    starts = [model.day_start(ordinal) for ordinal in range(first, last)]
    for ordinal, start in zip(range(first, last), starts, strict=True):
        assert day_start(date.fromordinal(ordinal), zone).timestamp() == start
    existing = len(set(starts)) - 1
    assert days_between(utc(starts[0]), utc(starts[-1]), zone) == existing


def test_the_model_knows_the_zones() -> None:
    apia = Clocks("Pacific/Apia", 2011, 2012)
    skipped = date(2011, 12, 30).toordinal()
    assert apia.day_start(skipped) == apia.day_start(skipped + 1)
    kathmandu = Clocks("Asia/Kathmandu", 1985, 1987)
    assert [offset for _, offset in kathmandu.changes] == [19_800, 20_700]
    paulo = Clocks("America/Sao_Paulo", 2017, 2018)
    midnight = (date(2017, 10, 15).toordinal() - EPOCH_DAY) * 86_400
    assert paulo.day_start(date(2017, 10, 15).toordinal()) == midnight + 3 * 3600
    assert timedelta(seconds=paulo.offset(midnight + 3 * 3600)) == timedelta(hours=-2)
