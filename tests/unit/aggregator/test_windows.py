"""Windows of usage queries: local time, daylight saving, and rows that fill them exactly."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.windows import TooManyWindows, Window, bounds, runs

SLOT = timedelta(seconds=10)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def edges(window: Window, start: str, end: str, zone: str = "UTC") -> list[str]:
    found = bounds(window, at(start), at(end), ZoneInfo(zone))
    return [edge.strftime("%d %H:%M") for edge in found]


def test_hours_are_cut_at_the_ends_of_the_range() -> None:
    assert edges("hour", "2026-01-01T00:30", "2026-01-01T02:10") == [
        "01 00:30",
        "01 01:00",
        "01 02:00",
        "01 02:10",
    ]


def test_hours_of_kathmandu_begin_at_a_quarter_past() -> None:
    assert edges("hour", "2026-01-01T00:15", "2026-01-01T02:15", "Asia/Kathmandu") == [
        "01 00:15",
        "01 01:15",
        "01 02:15",
    ]


def test_days_of_kathmandu_begin_at_a_quarter_past_six_in_the_evening() -> None:
    assert edges("day", "2026-01-01T18:15", "2026-01-03T18:15", "Asia/Kathmandu") == [
        "01 18:15",
        "02 18:15",
        "03 18:15",
    ]


def test_a_day_may_have_25_hours() -> None:
    start, end = bounds(
        "day", at("2026-10-24T22:00"), at("2026-10-25T23:00"), ZoneInfo("Europe/Berlin")
    )
    assert end - start == timedelta(hours=25)


def test_lord_howe_moves_by_half_an_hour() -> None:
    """On 2026-04-05 at 02:00 clocks go back to 01:30; on 2026-10-04 at 02:00 on to 02:30."""
    zone = "Australia/Lord_Howe"
    back = edges("hour", "2026-04-04T13:00", "2026-04-04T17:30", zone)
    assert back == ["04 13:00", "04 14:00", "04 15:30", "04 16:30", "04 17:30"]
    forth = edges("hour", "2026-10-03T14:30", "2026-10-03T17:00", zone)
    assert forth == ["03 14:30", "03 15:30", "03 16:00", "03 17:00"]
    days = bounds("day", at("2026-10-03T13:30"), at("2026-10-04T13:00"), ZoneInfo(zone))
    assert [b - a for a, b in pairwise(days)] == [timedelta(hours=23, minutes=30)]


def test_months_are_the_calendars() -> None:
    assert edges("month", "2026-01-15T00:00", "2026-03-02T00:00") == [
        "15 00:00",
        "01 00:00",
        "01 00:00",
        "02 00:00",
    ]


def test_none_is_one_window() -> None:
    assert edges("none", "2026-01-15T00:00", "2027-03-02T00:00") == ["15 00:00", "02 00:00"]


def test_too_many_windows_are_refused_before_they_are_made() -> None:
    with pytest.raises(TooManyWindows):
        bounds("minute", at("1970-01-01"), at("2199-01-01"), ZoneInfo("UTC"))


def test_a_local_day_reads_hours_and_slots_only_where_it_must() -> None:
    found = runs([at("2026-01-01T18:15"), at("2026-01-03T18:15")])
    assert [(run.table, run.start.strftime("%d %H:%M")) for run in found] == [
        ("slots", "01 18:15"),
        ("hours", "01 19:00"),
        ("days", "02 00:00"),
        ("hours", "03 00:00"),
        ("slots", "03 18:00"),
    ]


def test_neighbours_in_one_table_are_read_in_one_run() -> None:
    hours = bounds("hour", at("2026-01-01"), at("2026-01-03"), ZoneInfo("UTC"))
    assert [run.table for run in runs(hours)] == ["hours"]


zones = st.sampled_from(
    ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin", "America/St_Johns",
     "Pacific/Apia", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Chatham"]
)  # fmt: skip
kinds = st.sampled_from(["minute", "hour", "day", "month", "none"])
starts = st.integers(0, 6_000_000).map(lambda slots: at("2010-01-01") + slots * 10 * SLOT)


@given(
    st.sampled_from(["minute", "hour", "day", "month", "none"]),
    starts,
    st.integers(1, 9_000),
    zones,
)
def test_windows_tile_the_range_and_runs_tile_the_windows(
    window: Window, start: datetime, slots: int, zone: str
) -> None:
    width = {"minute": 1, "hour": 30, "day": 360, "month": 9_000, "none": 9_000}[window]
    end = start + slots * width * SLOT
    if window == "minute":
        end = min(end, start + timedelta(hours=3))
    if window == "hour":
        end = min(end, start + timedelta(days=4))
    found = bounds(window, start, end, ZoneInfo(zone))
    assert (found[0], found[-1]) == (start, end)
    assert all(a < b for a, b in pairwise(found))
    pieces = runs(found)
    assert pieces[0].start == start
    assert pieces[-1].end == end
    for one, other in pairwise(pieces):
        assert one.end == other.start
    for run in pieces:
        if run.table != "slots":
            unit = 86_400 if run.table == "days" else 3_600
            assert run.start.timestamp() % unit == 0
            assert run.end.timestamp() % unit == 0
    # An edge inside a run must be a bucket's beginning, or a row would lie in two windows.
    for edge in found[1:-1]:
        table = next(run.table for run in pieces if run.start <= edge < run.end)
        unit = {"slots": 10, "hours": 3_600, "days": 86_400}[table]
        assert edge.timestamp() % unit == 0
