"""Every anchor day in every month of thirty years, in zones whose clocks do what clocks can do.

Periods must be those of a model that knows only when the offsets change, and must tile time.
`make calendar-sweep` looks from 1985 on, and at every anchor day around every change.
"""

import os
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from common.periods import calendar_period, day_start, days_between
from tests.unit.common.calendar_model import EPOCH_DAY, ZONES, Clocks

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
