"""Usage queries as they come in: defaults, slots, dimensions."""

from datetime import UTC, datetime

import pytest

from aggregator.meters import define
from aggregator.query import edges, selection, zone_of
from aggregator.settings import Settings
from common.errors import ApiError
from common.settings import UnsafeSettings

NOW = datetime(2026, 11, 23, 12, 0, 3, tzinfo=UTC)
METER = define(
    slug="bytes",
    event_type="request",
    aggregation="sum",
    value="bytes",
    group_by={"route": "route", "area": "edge.area"},
    unit="bytes",
)


def test_without_times_a_query_is_about_this_month_so_far() -> None:
    assert edges("none", None, None, "UTC", NOW) == [
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 23, 12, 0, 10, tzinfo=UTC),
    ]
    assert edges("none", None, None, "Asia/Kathmandu", NOW)[0] == datetime(
        2026, 10, 31, 18, 15, tzinfo=UTC
    )


def test_times_mean_the_slot_they_lie_in_whatever_their_offset() -> None:
    assert edges("none", "2026-11-23T05:45:19+05:45", "2026-11-23T00:00:29.9Z", "UTC", NOW) == [
        datetime(2026, 11, 23, 0, 0, 10, tzinfo=UTC),
        datetime(2026, 11, 23, 0, 0, 20, tzinfo=UTC),
    ]


def test_a_selection_names_dimensions_once() -> None:
    found = selection(
        METER,
        tenants=["b", "a", "b"],
        group_by="route,area,route",
        parameters=[("meter", "bytes"), ("filter.area", "eu"), ("filter.area", "eu")],
    )
    assert found.tenants == ["a", "b"]
    assert found.dimensions == ["route", "area"]
    assert found.filters == {"area": "eu"}
    assert selection(METER, tenants=[], group_by=None, parameters=[]).tenants is None


def test_two_values_of_one_filter_contradict_each_other() -> None:
    with pytest.raises(ApiError, match="given twice"):
        selection(
            METER,
            tenants=[],
            group_by=None,
            parameters=[("filter.area", "eu"), ("filter.area", "us")],
        )


def test_time_zones_are_those_of_the_database_only() -> None:
    assert str(zone_of("Europe/Berlin")) == "Europe/Berlin"
    for name in ("", "Europe", "/etc/passwd", "localtime", "europe/berlin", "x" * 300):
        with pytest.raises(ApiError, match="not an IANA"):
            zone_of(name)


def test_slots_may_not_be_forgotten_before_they_are_billed() -> None:
    assert Settings(slot_retention_days=0).slot_retention_days == 0
    assert Settings(slot_retention_days=60).slot_retention_days == 60
    with pytest.raises(UnsafeSettings, match="at least 60"):
        Settings(slot_retention_days=59)
