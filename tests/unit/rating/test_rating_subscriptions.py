"""Which instants a subscription may have, and the billing periods that follow from its history."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.periods import slot_of
from rating.billing import next_begin
from rating.changes import (
    MAX_FACTS,
    effective_cut,
    effective_end,
    new_fact,
    require_few_periods,
    require_possible,
)
from rating.subscription import Refused, effective_span, overlaps
from tests.unit.rating.subscribed import at, onto, periods_of, plan, plans_of, subscription

MONTHLY = {"p": plan()}
BOTH = {"p": plan(), "q": plan(interval="year", alignment="anniversary")}


def spans(found: list[Any]) -> list[tuple[datetime, datetime]]:
    return [(one.billing.period.start, one.billing.period.end) for one in found]


def test_periods_are_the_months_between_start_and_now() -> None:
    made = periods_of(subscription(at(1, 16)), MONTHLY, at(3, 1))
    assert spans(made) == [(at(1, 16), at(2, 1)), (at(2, 1), at(3, 1)), (at(3, 1), at(4, 1))]
    whole = made[0].billing.period
    assert (whole.whole_start, whole.whole_end) == (at(1, 1), at(2, 1))


def test_a_cut_ends_one_period_and_begins_the_next() -> None:
    made = periods_of(subscription(at(1, 1), ("cut", at(1, 20), {})), MONTHLY, at(1, 25))
    assert spans(made) == [(at(1, 1), at(1, 20)), (at(1, 20), at(2, 1))]


def test_another_plan_has_periods_of_its_own_from_the_change_on() -> None:
    history = subscription(at(1, 15), ("plan", at(2, 10), onto("q")))
    made = periods_of(history, BOTH, at(2, 20))
    assert spans(made) == [
        (at(1, 15), at(2, 1)),
        (at(2, 1), at(2, 10)),
        (at(2, 10), datetime(2027, 1, 15, tzinfo=UTC)),
    ]
    assert made[-1].billing.period.whole_start == at(1, 15), "the anniversary of the start"
    assert [one.plan.slug for one in made] == ["p", "p", "q"]


def test_a_pause_is_a_hole() -> None:
    history = subscription(at(1, 1), ("pause", at(1, 10), {}), ("resume", at(2, 10), {}))
    assert spans(periods_of(history, MONTHLY, at(2, 20))) == [
        (at(1, 1), at(1, 10)),
        (at(2, 10), at(3, 1)),
    ]
    plans = plans_of(history, MONTHLY)
    assert next_begin(history, plans, at(1, 5)) == at(2, 10)
    assert next_begin(history, plans, at(2, 10)) == at(3, 1)


def test_the_end_of_a_trial_divides_its_period() -> None:
    bodies = {"p": plan(trial={"days": 14})}
    made = periods_of(subscription(at(1, 5)), bodies, at(1, 20))
    assert spans(made) == [(at(1, 5), at(1, 19)), (at(1, 19), at(2, 1))]
    assert [one.billing.is_trial for one in made] == [True, False]


def test_quantities_and_add_ons_divide_no_period() -> None:
    history = subscription(at(1, 1), ("quantity", at(1, 10), {"name": "seats", "quantity": "5"}))
    [made] = periods_of(history, MONTHLY, at(1, 20))
    assert [(piece.start, piece.end) for piece in made.billing.pieces] == [
        (at(1, 1), at(1, 10)),
        (at(1, 10), at(2, 1)),
    ]


CHANGES = st.lists(
    st.tuples(st.sampled_from(["p", "q", "cut", "pause", "resume"]), st.integers(1, 400 * 8640)),
    max_size=6,
)


@settings(deadline=None)
@given(
    st.integers(1, 31),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)),
    CHANGES,
    st.integers(1, 400 * 8640),
    st.integers(0, 400 * 8640),
)
def test_periods_tile_the_subscription_but_for_its_pauses(
    anchor_day: int, zone: str, start: datetime, changes: Any, length: int, asked: int
) -> None:
    slot = timedelta(seconds=10)
    begin = slot_of(start.replace(tzinfo=UTC))
    end = begin + length * slot
    facts: list[Any] = [("end", end, {})]
    for name, offset in changes:
        kind = "plan" if name in "pq" else name
        facts.append((kind, begin + offset * slot, onto(name) if kind == "plan" else {}))
    history = subscription(begin, *facts, anchor_day=anchor_day, zone=zone)
    made = periods_of(history, BOTH, end)
    running = [one for one in history.timeline.segments if not one.terms.paused]
    assert sum((stop - since for since, stop in spans(made)), timedelta()) == sum(
        ((one.end or end) - one.start for one in running), timedelta()
    )
    assert all(one[1] <= other[0] for one, other in pairwise(spans(made)))
    for one in made:
        period = one.billing.period
        assert period.whole_start <= period.start < period.end <= period.whole_end
        assert one.billing.pieces[0].start == period.start
        assert one.billing.pieces[-1].end == period.end
    # What is asked for a span is what all of them say of it.
    instant = begin + asked * slot
    some = periods_of(history, BOTH, end, spans=[(instant, instant + slot)])
    hit = [one for one in made if one.billing.contains(instant)]
    assert all(one in some for one in hit)
    assert all(one in made for one in some)
    plans = plans_of(history, BOTH)
    begins = [since for since, _ in spans(made) if since > instant]
    assert next_begin(history, plans, instant) == (min(begins) if begins else None)


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
    end = effective_end(subscription(at(1, 1)), at(5, 5, 0, 0, 7))
    assert end == at(5, 5)
    ended = subscription(at(1, 1), ("end", end, {}))
    assert effective_end(ended, at(5, 5, 0, 0, 3)) == end
    with pytest.raises(Refused, match="ends at 2026-05-05T00:00:00Z already"):
        effective_end(ended, at(5, 6))
    for refused in (
        lambda: new_fact(ended, "pause", at(6, 1), {}, now=NOW),
        lambda: require_possible(ended, new_fact(ended, "end", at(6, 1), {}, now=NOW), None),
    ):
        with pytest.raises(Refused, match="ends at 2026-05-05T00:00:00Z"):
            refused()


NOW = at(3, 10, 12)


def bill_now(start: datetime, facts: list[Any], asked: datetime) -> Any:
    history = subscription(start, *facts)
    return effective_cut(history, plans_of(history, MONTHLY), asked, NOW)


@pytest.mark.parametrize(
    ("facts", "asked", "boundary", "cut"),
    [
        ([], NOW, NOW, NOW),
        ([], NOW - timedelta(seconds=3), NOW, NOW),
        ([], NOW + timedelta(seconds=1), NOW + timedelta(seconds=10), ...),
        ([], NOW + timedelta(hours=1), NOW + timedelta(hours=1), ...),
        ([], at(3, 1), at(3, 1), None),
        ([("cut", NOW, {})], NOW, NOW, None),
        ([("end", NOW, {})], NOW, NOW, None),
        ([], at(3, 5), at(3, 5), at(3, 5)),
    ],
)
def test_bill_now_splits_the_running_period(
    facts: list[Any], asked: datetime, boundary: datetime, cut: Any
) -> None:
    expected = boundary if cut is ... else cut
    assert bill_now(at(1, 1), facts, asked) == (boundary, expected)


@pytest.mark.parametrize(
    ("start", "facts", "asked"),
    [
        (at(1, 1), [], NOW + timedelta(hours=1, seconds=1)),
        (at(1, 1), [], at(2, 20)),
        (at(3, 5), [], at(3, 4)),
        (at(3, 5), [], at(3, 5)),
        (at(1, 1), [("end", at(3, 1), {})], NOW),
        (at(5, 1), [], NOW),
        (at(1, 1), [("cut", at(3, 8), {})], at(3, 6)),
        (at(1, 1), [("pause", at(3, 8), {})], NOW),
    ],
)
def test_other_periods_cannot_be_billed_now(
    start: datetime, facts: list[Any], asked: datetime
) -> None:
    with pytest.raises(Refused) as refused:
        bill_now(start, facts, asked)
    assert refused.value.code == "cut_outside_period"


def test_a_history_of_too_many_periods_is_refused() -> None:
    """All of them would be rated in one transaction."""
    bodies = {"p": plan(interval={"hours": 1})}
    long_ago, lately = subscription(at(1, 1)), subscription(at(12, 1))
    now = datetime(2028, 6, 1, tzinfo=UTC)
    require_few_periods(lately, plans_of(lately, bodies), now)
    with pytest.raises(Refused, match="at most 20,000"):
        require_few_periods(long_ago, plans_of(long_ago, bodies), now)


def test_a_subscription_takes_so_many_facts() -> None:
    crowded = subscription(at(1, 1), *[("cut", at(1, 2), {})] * (MAX_FACTS - 1))
    with pytest.raises(Refused, match="takes no more"):
        new_fact(crowded, "pause", at(2, 1), {}, now=at(2, 1))


@pytest.mark.parametrize("name", ["slug", "meter", "quantity"])
def test_an_own_price_is_of_the_same_thing(name: str) -> None:
    history = subscription(at(1, 1))
    body = {"price": "base", "fields": {name: "x"}}
    fact = new_fact(history, "override", at(2, 1), body, now=at(2, 1))
    [held] = plans_of(history, MONTHLY).values()
    with pytest.raises(Refused, match=f"{name} says what is priced"):
        require_possible(history, fact, held.plan)


def test_nothing_falls_due_in_a_pause() -> None:
    history = subscription(at(1, 1), ("pause", at(1, 10), {}))
    fact = new_fact(history, "one_off", at(1, 20), {"slug": "x"}, now=at(1, 20))
    with pytest.raises(Refused, match="paused"):
        require_possible(history, fact, None)
