"""Billing periods tile time, whatever the calendar and the clocks do."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.periods import (
    Recurrence,
    anchor,
    calendar_period,
    day_start,
    next_slot,
    periods,
    slot_of,
)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks used to skip midnight
    "America/Havana",  # midnight comes twice
    "Australia/Lord_Howe",  # half an hour of DST
    "Asia/Kathmandu",  # +05:45
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Chatham",
]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_month_from_the_anchor_day() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start, end = calendar_period(utc(2026, 3, 20, 12), 15, zone)
    assert start == utc(2026, 3, 14, 23)
    assert end == utc(2026, 4, 14, 22), "the clocks went forward in between"


@pytest.mark.parametrize(("month", "day"), [(1, 31), (2, 28), (4, 30), (12, 31)])
def test_an_anchor_that_the_month_lacks_is_its_last_day(month: int, day: int) -> None:
    assert anchor(2026, month, 31) == date(2026, month, day)
    assert anchor(2028, 2, 31) == date(2028, 2, 29)


@pytest.mark.parametrize("zone_name", ZONES)
@pytest.mark.parametrize("anchor_day", range(1, 32))
def test_periods_tile_the_years(zone_name: str, anchor_day: int) -> None:
    zone = ZoneInfo(zone_name)
    begin, end = utc(2009, 12, 31, 17, 20), utc(2014, 3, 1, 9, 10)
    found = list(
        periods(
            Recurrence("month", 1, zone_name, anchor_day),
            start=begin,
            end=end,
            until=utc(2020, 1, 1),
        )
    )
    assert found[0].start == begin
    assert found[-1].end == end
    for before, after in itertools.pairwise(found):
        assert before.end == after.start
    for period in found:
        assert period.start < period.end
        assert period.whole_start <= period.start < period.end <= period.whole_end
    for period in found[1:-1]:
        assert (period.start, period.end) == (period.whole_start, period.whole_end)
        assert timedelta(days=27) < period.end - period.start < timedelta(days=33)
        local = period.start.astimezone(zone)
        if zone_name != "Pacific/Apia" or local.date() != date(2011, 12, 31):
            assert local.date() == anchor(local.year, local.month, anchor_day)
        assert calendar_period(period.start, anchor_day, zone) == (period.start, period.end)
        last = period.end - timedelta(seconds=1)
        assert calendar_period(last, anchor_day, zone) == (period.start, period.end)


@pytest.mark.parametrize("zone_name", ZONES)
def test_days_begin_in_order_and_at_their_first_instant(zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    day = date(2010, 12, 1)
    while day < date(2013, 1, 1):
        start = day_start(day, zone)
        following = day_start(day + timedelta(days=1), zone)
        assert start <= following
        assert start.astimezone(zone).date() >= day
        if start < following:
            assert (start - timedelta(seconds=1)).astimezone(zone).date() < day
        day += timedelta(days=1)


def test_a_midnight_that_the_clocks_skip() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    start = day_start(date(2017, 10, 15), zone)
    assert start == utc(2017, 10, 15, 3)
    assert start.astimezone(zone).hour == 1


def test_a_day_that_does_not_exist_begins_with_the_next() -> None:
    zone = ZoneInfo("Pacific/Apia")
    assert day_start(date(2011, 12, 30), zone) == day_start(date(2011, 12, 31), zone)


INSTANTS = st.datetimes(datetime(2009, 1, 1), datetime(2032, 1, 1)).map(
    lambda at: slot_of(at.replace(tzinfo=UTC))
)


@given(
    st.sampled_from(ZONES),
    st.integers(1, 31),
    INSTANTS,
    st.integers(1, 500 * 8640),
    st.lists(st.integers(-8640, 500 * 8640), max_size=4),
)
def test_cuts_only_divide(
    zone_name: str, day: int, start: datetime, length: int, cuts: list[int]
) -> None:
    end = start + length * timedelta(seconds=10)
    instants = [start + cut * timedelta(seconds=10) for cut in cuts]
    monthly = Recurrence("month", 1, zone_name, day)
    whole = list(periods(monthly, start=start, end=end, until=end))
    cut = list(periods(monthly, start=start, end=end, until=end, cuts=instants))

    edges = {p.start for p in whole} | {at for at in instants if start < at < end} | {end}
    assert {p.start for p in cut} | {cut[-1].end} == edges
    assert all(one.end == two.start for one, two in itertools.pairwise(cut))


def test_only_what_begins_before_until() -> None:
    monthly = Recurrence("month", 1, "UTC")
    found = list(periods(monthly, start=utc(2026, 1, 1), end=None, until=utc(2026, 3, 1)))
    assert [p.start for p in found] == [utc(2026, 1, 1), utc(2026, 2, 1)]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.timezones()))
def test_slots_are_ten_seconds_of_utc(instant: datetime) -> None:
    start, after = slot_of(instant), next_slot(instant)
    assert start <= instant <= after <= start + timedelta(seconds=10)
    assert start.timestamp() % 10 == after.timestamp() % 10 == 0
