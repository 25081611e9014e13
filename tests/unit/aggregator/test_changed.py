"""What is published from memory: the newest value of each hour and slot, every new member once."""

from datetime import UTC, datetime, timedelta

from aggregator.changed import Changes
from aggregator.compile import compile_meter
from aggregator.fold import SeriesKey
from aggregator.meters import define
from aggregator.store.rollups import Row, Written
from common.contracts.rollups import Aggregate, Rollup

HOUR = datetime(2026, 11, 23, 12, tzinfo=UTC)
SLOT = timedelta(seconds=10)
METER = compile_meter(
    define(
        slug="users",
        event_type="request",
        aggregation="unique_count",
        value="user",
        group_by={"route": "route"},
        unit="users",
    )
)
KEYS = {1: SeriesKey("acme", "users", ("/a",)), 2: SeriesKey("zeta", "users", ("",))}


def count(number: int) -> Aggregate:
    return Aggregate(count=number)


def published(changes: Changes) -> list[Rollup]:
    return [one for page in changes.pages({"users": METER}) for one in page]


def test_the_newest_value_of_every_hour_and_slot_is_published_once() -> None:
    changes = Changes(3)
    first = Written(
        {},
        hours=[Row(1, HOUR, count(2)), Row(2, HOUR, count(1))],
        slots=[Row(1, HOUR, count(1)), Row(1, HOUR + SLOT, count(1)), Row(2, HOUR, count(1))],
        members=[(1, HOUR, "aa"), (1, HOUR + SLOT, "aa")],
    )
    second = Written(
        {},
        hours=[Row(1, HOUR, count(5))],
        slots=[Row(1, HOUR, count(4))],
        members=[(1, HOUR, "a0")],
    )
    changes.add(first, 7, KEYS)
    changes.add(second, 9, KEYS)
    acme, zeta = published(changes)
    assert (acme.tenant, acme.group, acme.shard, acme.version) == ("acme", {"route": "/a"}, 3, 9)
    assert (acme.meter, acme.aggregation, acme.unit) == ("users", "unique_count", "users")
    assert acme.value == count(5)
    assert [(slot.start, slot.value, slot.members) for slot in acme.slots] == [
        (HOUR, count(4), ["a0", "aa"]),
        (HOUR + SLOT, count(1), ["aa"]),
    ]
    assert (zeta.version, zeta.value, len(zeta.slots)) == (7, count(1), 1)


def test_hours_of_one_series_are_rollups_of_their_own() -> None:
    changes = Changes(0)
    hours = [HOUR, HOUR + timedelta(hours=1)]
    rows = [Row(1, hour, count(1)) for hour in hours]
    changes.add(Written({}, rows, rows, []), 1, KEYS)
    assert [one.hour for one in published(changes)] == hours


def test_nothing_changed_is_nothing_published() -> None:
    assert published(Changes(0)) == []
