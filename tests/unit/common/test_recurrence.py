"""Periods of every length, on the calendar and from an anniversary, through every clock change."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.periods import IntervalUnit, Recurrence, anchor, periods, slot_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks used to skip midnight
    "America/Havana",  # midnight comes twice
    "Australia/Lord_Howe",  # half an hour of DST
    "Asia/Kathmandu",  # +05:45
    "Pacific/Apia",  # had no 30 December 2011
    "Africa/Casablanca",  # goes back for Ramadan
    "Asia/Tehran",  # changed at midnight
]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def days(found: tuple[datetime, datetime], zone: str) -> list[str]:
    return [f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for at in found]


@pytest.mark.parametrize(
    ("unit", "count", "anchor_day", "expected"),
    [
        ("month", 1, 31, ["2026-07-31 00:00", "2026-08-31 00:00"]),
        ("month", 3, 15, ["2026-07-15 00:00", "2026-10-15 00:00"]),
        ("month", 12, 1, ["2026-01-01 00:00", "2027-01-01 00:00"]),
        ("week", 1, 1, ["2026-08-17 00:00", "2026-08-24 00:00"]),
        ("day", 1, 1, ["2026-08-20 00:00", "2026-08-21 00:00"]),
        ("hour", 6, 1, ["2026-08-20 13:00", "2026-08-20 19:00"]),
    ],
)
def test_a_period_of_the_calendar(
    unit: IntervalUnit, count: int, anchor_day: int, expected: list[str]
) -> None:
    """Hours are elapsed time from a midnight in winter, so in summer they are an hour off."""
    recurrence = Recurrence(unit, count, "Europe/Berlin", anchor_day)
    assert days(recurrence.around(utc(2026, 8, 20, 12)), "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("unit", "count", "expected"),
    [
        ("month", 1, ["2026-02-28 10:30", "2026-03-31 10:30"]),
        ("month", 3, ["2026-01-31 10:30", "2026-04-30 10:30"]),
        ("month", 12, ["2026-01-31 10:30", "2027-01-31 10:30"]),
        ("week", 2, ["2026-03-14 10:30", "2026-03-28 10:30"]),
        ("day", 10, ["2026-03-12 10:30", "2026-03-22 10:30"]),
        ("hour", 36, ["2026-03-14 10:30", "2026-03-15 22:30"]),
    ],
)
def test_a_period_from_an_anniversary(unit: IntervalUnit, count: int, expected: list[str]) -> None:
    since = utc(2026, 1, 31, 9, 30)
    recurrence = Recurrence(unit, count, "Europe/Berlin", since=since)
    assert recurrence.around(since)[0] == since
    assert days(recurrence.around(utc(2026, 3, 15, 20)), "Europe/Berlin") == expected


def test_an_anniversary_in_a_skipped_hour_follows_the_gap() -> None:
    """02:30 does not exist on 29 March 2026 in Berlin."""
    recurrence = Recurrence("day", 1, "Europe/Berlin", since=utc(2026, 3, 1, 1, 30))
    found = recurrence.around(utc(2026, 3, 29, 12))
    assert days(found, "Europe/Berlin") == ["2026-03-29 03:30", "2026-03-30 02:30"]


@pytest.mark.parametrize("hour", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize(
    ("days_later", "expected"),
    [
        (1, "2026-10-26 02:30 +0100"),
        (154, "2027-03-28 03:30 +0200"),  # skipped: after the gap, whichever it was
        (371, "2027-10-31 02:30 {}"),  # repeated: the same of the two
    ],
)
def test_an_anniversary_in_an_hour_that_comes_twice(
    hour: int, days_later: int, expected: str
) -> None:
    """Berlin's clocks show 02:30 twice on 25 October 2026, at 00:30 and at 01:30 UTC."""
    since = utc(2026, 10, 25, hour, 30)
    recurrence = Recurrence("day", days_later, "Europe/Berlin", since=since)
    start, end = recurrence.around(since)
    assert start == since
    local = end.astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{local:%Y-%m-%d %H:%M %z}" == expected.format(["+0200", "+0100"][hour])


@pytest.mark.parametrize("zone_name", ZONES)
def test_thirty_years_of_every_anchor_day(zone_name: str) -> None:
    """No hole, no overlap, each on its day: 1 to 31, leap days and clock changes included."""
    zone = ZoneInfo(zone_name)
    for day in range(1, 32):
        recurrence = Recurrence("month", 1, zone_name, day)
        first = recurrence.index(utc(2005, 1, 15))
        edge = recurrence.bounds(first)[0]
        for index in range(first, first + 360):
            start, end = recurrence.bounds(index)
            assert start == edge < end
            assert start.timestamp() % 10 == 0
            local = start.astimezone(zone).date()
            skipped = zone_name == "Pacific/Apia" and local == date(2011, 12, 31)
            assert skipped or local == anchor(local.year, local.month, day)
            edge = end
        assert edge > utc(2034, 12, 1)


@pytest.mark.parametrize("zone_name", ZONES)
@pytest.mark.parametrize("unit", ["day", "week"])
@pytest.mark.parametrize("since", [None, utc(2010, 3, 28, 0, 30), utc(2010, 10, 31, 0, 30)])
def test_days_and_weeks_keep_the_local_clock(
    zone_name: str, unit: IntervalUnit, since: datetime | None
) -> None:
    recurrence = Recurrence(unit, 1, zone_name, since=since)
    index, edge = recurrence.index(utc(2010, 11, 1)), None
    while edge is None or edge < utc(2013, 4, 1):
        start, end = recurrence.bounds(index)
        assert edge in (None, start)
        assert start <= end, "a day that does not exist is empty"
        edge, index = end, index + 1


@settings(deadline=None)
@given(
    st.sampled_from(["month", "week", "day", "hour"]),
    st.integers(1, 40),
    st.sampled_from(ZONES),
    st.integers(1, 31),
    st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),
)
def test_every_instant_lies_in_one_period(
    unit: IntervalUnit,
    count: int,
    zone: str,
    day: int,
    since: datetime | None,
    instant: datetime,
) -> None:
    anchored = slot_of(since.replace(tzinfo=UTC)) if since else None
    at = instant.replace(tzinfo=UTC)
    recurrence = Recurrence(unit, count, zone, day, anchored)
    index = recurrence.index(at)
    start, end = recurrence.bounds(index)
    assert start <= at < end
    assert (recurrence.bounds(index - 1)[1], recurrence.bounds(index + 1)[0]) == (start, end)
    assert recurrence.index(start) == recurrence.index(end - timedelta(microseconds=1)) == index


@settings(deadline=None)
@given(
    st.sampled_from(["month", "week", "day", "hour"]),
    st.integers(1, 5),
    st.integers(0, 90 * 8640),
    st.lists(st.integers(1, 90 * 8640), max_size=4),
)
def test_the_tail_of_the_periods_is_the_same_from_wherever_it_is_read(
    unit: IntervalUnit, count: int, skipped: int, cuts: list[int]
) -> None:
    start, slot = utc(2026, 1, 10, 7), timedelta(seconds=10)
    end = start + 90 * timedelta(days=1)
    edges = [start + cut * slot for cut in cuts]
    recurrence = Recurrence(unit, count, "Europe/Berlin", 31)
    whole = list(periods(recurrence, start=start, end=end, until=end, cuts=edges))
    assert all(one.end == two.start for one, two in itertools.pairwise(whole))
    since = start + skipped * slot
    tail = list(periods(recurrence, start=start, end=end, until=end, cuts=edges, since=since))
    assert tail == [period for period in whole if period.end > since]


def test_a_period_that_ends_where_one_begins_to_read_is_left_out() -> None:
    start, cut, end = utc(2026, 1, 1), utc(2026, 1, 10), utc(2026, 2, 1)
    january = Recurrence("month", 1, "UTC")
    found = periods(january, start=start, end=end, until=end, cuts=[cut], since=cut)
    assert [period.start for period in found] == [cut]


def test_nothing_is_left_of_a_service_that_ends_where_one_begins_to_read() -> None:
    start, end = utc(2026, 1, 10), utc(2026, 1, 20)
    january = Recurrence("month", 1, "UTC")
    assert list(periods(january, start=start, end=end, until=utc(2026, 3, 1), since=end)) == []


def test_only_cuts_inside_of_the_service_cut() -> None:
    start, end = utc(2026, 1, 10), utc(2026, 1, 20)
    cuts = [end, utc(2026, 1, 25), utc(2026, 1, 15), start, utc(2026, 1, 12), utc(2026, 1, 1)]
    january = Recurrence("month", 1, "UTC")
    found = list(periods(january, start=start, end=end, until=end, cuts=cuts))
    assert [period.start.day for period in found] == [10, 12, 15]
    assert found[-1].end == end


@pytest.mark.parametrize("unit", ["day", "month"])
def test_a_day_that_comes_back_for_an_hour_is_in_the_period_of_the_day_after(
    unit: IntervalUnit,
) -> None:
    """At 00:01 clocks went back to 23:01 of the day before."""
    recurrence = Recurrence(unit, 1, "America/St_Johns", anchor_day=7)
    for minute in range(-10, 90):
        at = utc(2010, 11, 7, 2, 30) + minute * timedelta(minutes=1)
        start, end = recurrence.around(at)
        assert start <= at < end
