"""A correction puts subscribers on another version for a time, and nothing else."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rating.correction import Correction, correct
from rating.history import Fact, Kind
from rating.subscription import Subscription

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=400)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def fact(revision: int, kind: Kind, at: int, **body: object) -> Fact:
    return Fact(revision=revision, kind=kind, at=day(at), body=dict(body))


def history(*facts: Fact) -> Subscription:
    start = fact(1, "start", 0, plan="a", version=1)
    return Subscription("s", "t", "USD", 1, "UTC", (start, *facts))


def corrected(one: Subscription, correction: Correction, begin: int, end: int) -> Subscription:
    span = day(begin), day(end)
    for added in correct(one, correction, [span], now=NOW, actor="me", reason="r"):
        one = one.with_fact(added)
    return one


def version(one: Subscription, at: int) -> tuple[str, int]:
    segment = one.timeline.at(day(at))
    assert segment is not None
    return segment.terms.plan, segment.terms.version


def test_a_month_on_the_right_version() -> None:
    one = corrected(history(), Correction("a", 2), 31, 59)
    assert [version(one, at) for at in (30, 31, 58, 59)] == [
        ("a", 1),
        ("a", 2),
        ("a", 2),
        ("a", 1),
    ]
    assert [(added.actor, added.reason) for added in one.facts[1:]] == [("me", "r")] * 2


def test_only_the_versions_that_are_named() -> None:
    before = history(fact(2, "plan", 10, plan="a", version=3))
    one = corrected(before, Correction("a", 2, frozenset({3})), 0, 100)
    assert [version(one, at) for at in (0, 9, 10, 99, 100)] == [
        ("a", 1),
        ("a", 1),
        ("a", 2),
        ("a", 2),
        ("a", 3),
    ]


def test_twice_is_once() -> None:
    correction = Correction("a", 2)
    one = corrected(history(), correction, 31, 59)
    assert correct(one, correction, [(day(31), day(59))], now=NOW, actor="", reason="") == []


facts = st.lists(
    st.tuples(
        st.sampled_from(["plan", "quantity", "pause", "resume"]),
        st.integers(0, 120),
        st.sampled_from("ab"),
        st.integers(1, 3),
    ),
    max_size=8,
)


@given(facts, st.integers(0, 100), st.integers(1, 60), st.sets(st.integers(1, 3)))
def test_inside_no_wrong_version_is_left_and_outside_nothing_changes(
    made: list[tuple[Kind, int, str, int]], begin: int, days: int, replaces: set[int]
) -> None:
    before = history(
        *(
            fact(revision, kind, at, plan=plan, version=number)
            if kind == "plan"
            else fact(revision, kind, at, name="seats", quantity=str(number))
            for revision, (kind, at, plan, number) in enumerate(made, start=2)
        )
    )
    correction = Correction("a", 2, frozenset(replaces))
    after = corrected(before, correction, begin, begin + days)
    for at in range(0, 200):
        was, is_now = before.timeline.at(day(at)), after.timeline.at(day(at))
        assert was is not None
        assert is_now is not None
        inside = begin <= at < begin + days
        if inside and correction.is_wrong(was):
            assert version(after, at) == ("a", 2)
        else:
            assert is_now.terms == was.terms, at
        assert (is_now.terms.quantities, is_now.terms.paused) == (
            was.terms.quantities,
            was.terms.paused,
        )
