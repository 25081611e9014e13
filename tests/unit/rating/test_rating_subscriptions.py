"""Which instants a subscription may have, and the periods that follow from them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.periods import slot_of
from rating.subscription import (
    Refused,
    Subscription,
    effective_cut,
    effective_end,
    effective_span,
    overlaps,
)


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def subscription(**fields: Any) -> Subscription:
    values: dict[str, Any] = {
        "id": "s",
        "tenant": "acme",
        "plan": "p",
        "plan_version": 1,
        "start": at(1, 1),
        "end": None,
        "anchor_day": 1,
        "zone": "UTC",
    }
    return Subscription(**(values | fields))


def test_periods_are_the_months_between_start_and_now() -> None:
    made = subscription(start=at(1, 16)).periods(at(3, 1))
    assert [(period.start, period.end) for period in made] == [
        (at(1, 16), at(2, 1)),
        (at(2, 1), at(3, 1)),
        (at(3, 1), at(4, 1)),
    ]
    assert (made[0].whole_start, made[0].whole_end) == (at(1, 1), at(2, 1))


def test_a_cut_ends_one_period_and_begins_the_next() -> None:
    made = subscription(cuts=(at(1, 20),)).periods(at(1, 25))
    assert [(p.start, p.end) for p in made] == [(at(1, 1), at(1, 20)), (at(1, 20), at(2, 1))]
    assert {(p.whole_start, p.whole_end) for p in made} == {(at(1, 1), at(2, 1))}


@given(
    st.integers(1, 31),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)),
    st.lists(st.integers(1, 400 * 8640), max_size=4),
    st.integers(1, 400 * 8640),
)
def test_periods_tile_the_subscription(
    anchor_day: int, zone: str, start: datetime, cuts: list[int], length: int
) -> None:
    begin = slot_of(start.replace(tzinfo=UTC))
    end = begin + timedelta(seconds=10 * length)
    edges = tuple(sorted({begin + timedelta(seconds=10 * cut) for cut in cuts}))
    made = subscription(start=begin, end=end, anchor_day=anchor_day, zone=zone, cuts=edges).periods(
        end
    )
    assert made[0].start == begin
    assert made[-1].end == end
    assert all(one.end == other.start for one, other in pairwise(made))
    assert {edge for edge in edges if begin < edge < end} <= {period.start for period in made}
    for period in made:
        assert period.whole_start <= period.start < period.end <= period.whole_end
        whole = period.whole_end - period.whole_start
        assert timedelta(days=26) < whole < timedelta(days=33)
        assert period.whole_start.astimezone(ZoneInfo(zone)).hour in (0, 1)


def test_a_span_lies_on_slots_of_ten_seconds() -> None:
    span = effective_span(at(1, 1, 0, 0, 9), at(1, 1, 0, 0, 19))
    assert span == (at(1, 1), at(1, 1, 0, 0, 10))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(1999, 12, 31, tzinfo=UTC), None),
        (datetime(2100, 1, 1, tzinfo=UTC), None),
        (at(1, 1), at(1, 1)),
        (at(1, 1), at(1, 1, 0, 0, 9)),
        (at(2, 1), at(1, 1)),
    ],
)
def test_a_span_that_cannot_be_is_refused(start: datetime, end: datetime | None) -> None:
    with pytest.raises(Refused):
        effective_span(start, end)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((at(1, 1), None), (at(2, 1), None), True),
        ((at(1, 1), at(2, 1)), (at(2, 1), None), False),
        ((at(1, 1), at(2, 1)), (at(1, 31), at(3, 1)), True),
        ((at(3, 1), None), (at(1, 1), at(3, 1)), False),
    ],
)
def test_spans_overlap_when_they_share_an_instant(one: Any, other: Any, expected: bool) -> None:
    assert overlaps(one, other) is expected
    assert overlaps(other, one) is expected


def test_ending_twice_is_ending_once() -> None:
    end = effective_end(subscription(), at(5, 5, 0, 0, 7))
    assert end == at(5, 5)
    assert effective_end(subscription(end=end), at(5, 5, 0, 0, 3)) == end
    with pytest.raises(Refused, match="already"):
        effective_end(subscription(end=end), at(5, 6))


NOW = at(3, 10, 12)


@pytest.mark.parametrize(
    ("fields", "asked", "boundary", "cut"),
    [
        ({}, NOW, NOW, NOW),
        ({}, NOW - timedelta(seconds=3), NOW, NOW),
        ({}, NOW + timedelta(seconds=1), NOW + timedelta(seconds=10), ...),
        ({}, NOW + timedelta(hours=1), NOW + timedelta(hours=1), ...),
        ({}, at(3, 1), at(3, 1), None),
        ({"cuts": (NOW,)}, NOW, NOW, None),
        ({"end": NOW}, NOW, NOW, None),
        ({}, at(3, 5), at(3, 5), at(3, 5)),
    ],
)
def test_bill_now_splits_the_running_period(
    fields: dict[str, Any], asked: datetime, boundary: datetime, cut: Any
) -> None:
    expected = boundary if cut is ... else cut
    assert effective_cut(subscription(**fields), asked, NOW) == (boundary, expected)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, NOW + timedelta(hours=1, seconds=1)),
        ({}, at(2, 20)),
        ({"start": at(3, 5)}, at(3, 4)),
        ({"start": at(3, 5)}, at(3, 5)),
        ({"end": at(3, 1)}, NOW),
        ({"start": at(5, 1)}, NOW),
        ({"cuts": (at(3, 8),)}, at(3, 6)),
    ],
)
def test_other_periods_cannot_be_billed_now(fields: dict[str, Any], asked: datetime) -> None:
    with pytest.raises(Refused) as refused:
        effective_cut(subscription(**fields), asked, NOW)
    assert refused.value.code == "cut_outside_period"
