"""A history folds to what held when, in whatever order its facts were recorded."""

import random
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rating.history import Fact, Kind, Timeline, fold
from tests.unit.rating.subscribed import at, onto, subscription


def shown(timeline: Timeline) -> list[tuple[str, str, str]]:
    return [
        (
            f"{one.start:%m-%d}",
            f"{one.end:%m-%d}" if one.end else "",
            f"{one.terms.plan}{one.terms.version}" + (" paused" if one.terms.paused else ""),
        )
        for one in timeline.segments
    ]


def test_a_subscription_that_changes_its_plan_pauses_and_ends() -> None:
    history = subscription(
        at(1, 10),
        ("plan", at(3, 1), onto("q")),
        ("pause", at(4, 1), {}),
        ("resume", at(5, 1), {}),
        ("end", at(6, 1), {}),
    )
    assert shown(history.timeline) == [
        ("01-10", "03-01", "p1"),
        ("03-01", "04-01", "q1"),
        ("04-01", "05-01", "q1 paused"),
        ("05-01", "06-01", "q1"),
    ]


def test_a_backdated_change_takes_its_place_and_what_was_known_for_later_stays() -> None:
    history = subscription(
        at(1, 1), ("plan", at(3, 1), onto("q")), ("plan", at(2, 1), onto("p", 2))
    )
    assert shown(history.timeline) == [
        ("01-01", "02-01", "p1"),
        ("02-01", "03-01", "p2"),
        ("03-01", "", "q1"),
    ]


def test_of_two_changes_at_one_instant_the_later_said_decides() -> None:
    history = subscription(at(1, 1), ("plan", at(2, 1), onto("q")), ("plan", at(2, 1), onto("r")))
    assert shown(history.timeline) == [("01-01", "02-01", "p1"), ("02-01", "", "r1")]


def test_a_change_at_the_start_replaces_what_was_started_with() -> None:
    history = subscription(at(1, 1), ("plan", at(1, 1), onto("q")))
    assert shown(history.timeline) == [("01-01", "", "q1")]


def test_what_is_revoked_never_was() -> None:
    history = subscription(
        at(1, 1),
        ("end", at(2, 1), {}),
        ("revoke", at(1, 20), {"revision": 2}),
        ("plan", at(3, 1), onto("q")),
    )
    assert shown(history.timeline) == [("01-01", "03-01", "p1"), ("03-01", "", "q1")]


def test_quantities_add_ons_and_own_prices_hold_from_their_instant_on() -> None:
    history = subscription(
        at(1, 1),
        ("quantity", at(1, 5), {"name": "seats", "quantity": "5"}),
        ("add_on", at(1, 6), {"add_on": "backup", "enabled": True}),
        ("override", at(1, 7), {"price": "base", "fields": {"amount": "8"}}),
        ("add_on", at(1, 8), {"add_on": "backup", "enabled": False}),
        ("override", at(1, 9), {"price": "base", "fields": None}),
        body=onto("p", quantities={"seats": "2"}),
    )
    terms = [one.terms for one in history.timeline.segments]
    assert [dict(one.quantities)["seats"] for one in terms] == [2, 5, 5, 5, 5, 5]
    assert [sorted(one.add_ons) for one in terms] == [[], [], ["backup"], ["backup"], [], []]
    assert [len(one.overrides) for one in terms] == [0, 0, 0, 1, 1, 0]


KINDS: list[tuple[Kind, dict[str, Any]]] = [
    ("plan", onto("q")),
    ("plan", onto("p", 2)),
    ("pause", {}),
    ("resume", {}),
    ("quantity", {"name": "seats", "quantity": "3"}),
    ("add_on", {"add_on": "backup", "enabled": True}),
    ("add_on", {"add_on": "backup", "enabled": False}),
    ("cut", {}),
    ("coupon", {"slug": "c", "percent": "10"}),
    ("end", {}),
    ("revoke", {"revision": 3}),
]


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    start = at(1, 10)
    facts = [Fact(revision=1, kind="start", at=start, body=onto("p"))]
    for kind, body in draw(st.lists(st.sampled_from(KINDS), max_size=12)):
        when = start + draw(st.integers(0, 40)) * timedelta(days=1)
        facts.append(Fact(revision=len(facts) + 1, kind=kind, at=when, body=body))
    return facts


@settings(deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_facts_arrive_does_not_matter(
    facts: list[Fact], dice: random.Random
) -> None:
    shuffled = list(facts)
    dice.shuffle(shuffled)
    assert fold(shuffled) == fold(facts)


@settings(deadline=None)
@given(histories())
def test_segments_tile_the_subscription_and_neighbours_differ(facts: list[Fact]) -> None:
    timeline = fold(facts)
    if timeline.end is not None and timeline.end <= timeline.start:
        assert timeline.segments == ()
        return
    assert timeline.segments[0].start == timeline.start
    assert timeline.segments[-1].end == timeline.end
    for one, other in zip(timeline.segments, timeline.segments[1:], strict=False):
        assert one.end == other.start
        assert one.start < other.start
        assert one.terms != other.terms


@settings(deadline=None)
@given(histories(), st.integers(0, 45))
def test_what_is_recorded_for_later_does_not_change_what_was(facts: list[Fact], day: int) -> None:
    """Up to an instant the past is decided by the facts that hold from before it."""
    instant = at(1, 10) + day * timedelta(days=1)
    revoking = any(fact.kind == "revoke" for fact in facts)
    earlier = [fact for fact in facts if fact.at <= instant]
    if revoking:
        return
    assert _terms(fold(facts), instant) == _terms(fold(earlier), instant)


def _terms(timeline: Timeline, instant: datetime) -> Any:
    segment = timeline.at(instant)
    return segment.terms if segment else None
