"""Rollups as records: one a row, more when it has very many members."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aggregator.publish import records, split_members
from common.contracts.rollups import Aggregate, Rollup, Slot

HOUR = datetime(2026, 11, 23, 12, tzinfo=UTC)


def rollup(*members: int) -> Rollup:
    """A row with a slot for each number of members."""
    return Rollup(
        tenant="acme",
        meter="users",
        aggregation="unique_count",
        unit="users",
        group={"route": "/a"},
        hour=HOUR,
        shard=1,
        version=9,
        value=Aggregate(count=sum(members)),
        slots=[
            Slot(
                start=HOUR + number * timedelta(seconds=10),
                value=Aggregate(count=count, sum=Decimal(1)),
                members=[f"{number}-{n}" for n in range(count)],
            )
            for number, count in enumerate(members)
        ],
    )


def test_a_row_is_one_record_of_its_tenants_partition() -> None:
    found = list(records([rollup(1, 2)], 4))
    assert len(found) == 1
    assert found[0][0] == next(iter(records([rollup(7)], 4)))[0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 12))
def test_parts_hold_every_member_once_and_never_too_many(counts: list[int], most: int) -> None:
    whole = rollup(*counts)
    parts = list(split_members(whole, most))
    found = [
        (slot.start, member) for part in parts for slot in part.slots for member in slot.members
    ]
    assert found == [(slot.start, member) for slot in whole.slots for member in slot.members]
    for part in parts:
        assert sum(len(slot.members) for slot in part.slots) <= most
        assert (part.value, part.version, part.hour) == (whole.value, whole.version, whole.hour)
    assert {slot.start for part in parts for slot in part.slots} == {s.start for s in whole.slots}


def test_parts_have_keys_of_their_own() -> None:
    """Compaction keeps one record a key, and no member may be lost to it."""
    keys = [record.key for _, record in records([rollup(15_000, 15_000, 15_000)], 4)]
    assert len(keys) == 3
    assert len(set(keys)) == 3
