"""A range means the billing periods that begin in it: on each tenant's clock, whole, once."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.billing import Billed
from rating.ranges import Range, begun_in, range_of
from rating.subscription import Refused
from tests.unit.rating.subscribed import at, plan, plans_of, subscription

NOW = datetime(2026, 12, 15, 12, tzinfo=UTC)


def test_days_begin_at_midnight_of_the_tenants_clock() -> None:
    october = range_of(date(2026, 10, 1), date(2026, 11, 1), now=NOW)
    assert october.of("Europe/Berlin") == (at(9, 30, 22), at(10, 31, 23))
    assert october.of("Pacific/Honolulu") == (at(10, 1, 10), at(11, 1, 10))


def test_instants_are_the_same_for_everybody() -> None:
    made = range_of(at(10, 1, 0, 0, 7), at(11, 1), now=NOW)
    assert made.of("Asia/Tokyo") == made.of("UTC") == (at(10, 1), at(11, 1))


@pytest.mark.parametrize(
    ("start", "end", "path"),
    [
        (date(2026, 12, 1), date(2026, 12, 17), "to"),
        (date(2026, 12, 1), date(2026, 12, 1), "to"),
        (date(1999, 12, 1), date(2026, 12, 1), "from"),
        (date(2026, 12, 1), NOW, "to"),
        (NOW - timedelta(days=1), NOW + timedelta(seconds=10), "to"),
        (NOW, NOW, "end"),
    ],
)
def test_what_cannot_be_meant(start: date, end: date, path: str) -> None:
    with pytest.raises(Refused) as refused:
        range_of(start, end, now=NOW)
    assert refused.value.path == path


def test_a_day_may_be_asked_for_that_has_begun_somewhere() -> None:
    assert range_of(date(2026, 12, 1), date(2026, 12, 16), now=NOW).end == date(2026, 12, 16)


def begins(found: Sequence[Billed]) -> list[str]:
    return [f"{one.billing.period.start:%m-%d}" for one in found]


def test_a_period_that_is_cut_begins_with_its_first_part() -> None:
    one = subscription(
        at(10, 9),
        ("pause", at(10, 20), {}),
        ("resume", at(11, 10), {}),
        ("pause", at(11, 20), {}),
        ("resume", at(11, 25), {}),
    )
    plans = plans_of(one, {"p": plan()})

    def found(start: datetime, end: datetime) -> list[str]:
        return begins(begun_in(one, plans, (start, end), by=NOW))

    assert found(at(10, 1), at(11, 1)) == ["10-09"]
    assert found(at(10, 10), at(11, 10)) == []
    assert found(at(11, 10), at(11, 11)) == ["11-10", "11-25"]
    assert found(at(11, 11), at(12, 1)) == []
    assert found(at(12, 1), at(12, 15)) == ["12-01"]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5, unique=True))
def test_ranges_that_follow_each_other_share_no_period_and_miss_none(days: list[int]) -> None:
    one = subscription(at(9, 3, 5), ("pause", at(10, 20), {}), ("resume", at(10, 25), {}))
    plans = plans_of(one, {"p": plan(interval={"weeks": 2}, alignment="anniversary")})
    edges = [at(9, 1), *(at(9, 1) + timedelta(days=day) for day in sorted(days))]
    edges.append(NOW)
    pieces = [
        period
        for start, end in pairwise(edges)
        for period in begins(begun_in(one, plans, (start, end), by=NOW))
    ]
    assert pieces == begins(begun_in(one, plans, (edges[0], NOW), by=NOW))


def test_a_range_of_nothing_has_none() -> None:
    one = subscription(at(10, 9))
    plans = plans_of(one, {"p": plan()})
    assert begun_in(one, plans, Range(date(2026, 9, 1), date(2026, 10, 1)).of("UTC"), by=NOW) == []
