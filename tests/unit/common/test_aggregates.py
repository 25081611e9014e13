"""Aggregates of disjoint sets combine exactly, in any order and grouping."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.aggregates import AGGREGATIONS, combine, merge
from common.contracts.rollups import Aggregate

VALUES = st.decimals(min_value=Decimal("-1e19"), max_value=Decimal("1e19"), places=18)
START = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = st.lists(st.tuples(VALUES, st.integers(0, 5)), min_size=1, max_size=20)
READABLE = [name for name in AGGREGATIONS if name != "unique_count"]


def single(value: Decimal, second: int) -> Aggregate:
    at = START + timedelta(seconds=second)
    return Aggregate(count=1, sum=value, min=value, max=value, latest=value, latest_at=at)


@given(EVENTS, st.randoms(use_true_random=False))
def test_neither_order_nor_grouping_matters(
    events: list[tuple[Decimal, int]], random: Random
) -> None:
    singles = [single(*event) for event in events]
    expected = {name: combine(name, singles) for name in READABLE}
    random.shuffle(singles)
    while len(singles) > 1:
        one, other = singles.pop(), singles.pop(random.randrange(len(singles)))
        singles.append(merge(one, other))
    assert {name: combine(name, singles) for name in READABLE} == expected


@given(EVENTS)
def test_it_is_what_a_naive_count_says(events: list[tuple[Decimal, int]]) -> None:
    singles = [single(*event) for event in events]
    values = [value for value, _ in events]
    assert combine("count", singles) == len(values)
    total = combine("sum", singles)
    assert total is not None
    assert Fraction(total) == sum(map(Fraction, values))
    assert combine("min", singles) == min(values)
    assert combine("max", singles) == max(values)
    assert combine("latest", singles) == max((second, value) for value, second in events)[1]


def test_nothing() -> None:
    assert {name: combine(name, []) for name in READABLE} == {
        "count": 0,
        "sum": 0,
        "min": None,
        "max": None,
        "avg": None,
        "latest": None,
    }


def test_an_average_of_thirds_has_38_digits() -> None:
    total = Aggregate(count=3, sum=Decimal(1))
    assert combine("avg", [total]) == Decimal("0." + "3" * 38)


def test_distinct_values_are_not_read_from_an_aggregate() -> None:
    with pytest.raises(ValueError, match="unique_count"):
        combine("unique_count", [Aggregate()])
