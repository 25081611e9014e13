"""What an edge answers from the decisions it holds, with the centre and without it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.decisions import Decision, OnFailure, Shadow, decode_decision
from common.contracts.wire import encode
from common.enforce import ALLOWED, Book, Gcra, unix_ns
from common.enforce.gcra import interval_ns

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW_NS = unix_ns(NOW)
SECOND = 1_000_000_000


def denied(**changes: object) -> Decision:
    fields: dict[str, object] = {
        "tenant": "acme",
        "state": "deny",
        "status": 429,
        "revision": 7,
        "decided_at": NOW,
        "rule": "daily-requests",
        "rule_version": 2,
        "reason": "1,200 of 1,000 requests a day are used",
        "meter": "requests",
        "usage": Decimal("1200"),
        "limit": Decimal("1000"),
        "window": "day",
        "window_end": NOW + timedelta(hours=12),
        "expires_at": NOW + timedelta(hours=12),
        "as_of": NOW - timedelta(seconds=2),
    }
    return Decision(**(fields | changes))  # type: ignore[arg-type]


def book_with(*decisions: Decision) -> Book:
    book = Book(silence_seconds=30)
    book.heard(NOW_NS)
    for decision in decisions:
        book.apply(decision)
    return book


def test_a_denied_tenant_is_refused_until_its_window_ends() -> None:
    book = book_with(denied())
    verdict = book.check("acme", NOW_NS)
    assert (verdict.allowed, verdict.status, verdict.retry_after) == (False, 429, 12 * 3600)
    assert verdict.headers() == {
        "retry-after": "43200",
        "ratelimit-policy": '"daily-requests";q=1000',
        "ratelimit": '"daily-requests";r=0;t=43200',
    }
    problem = verdict.problem()
    assert problem["code"] == "limit_exceeded"
    assert problem["rule"] == "daily-requests"
    assert problem["usage"] == "1200"
    assert problem["window_end"] == "2026-05-02T00:00:00Z"

    after = NOW_NS + 12 * 3600 * SECOND
    book.heard(after)
    assert book.check("acme", after).allowed


def test_a_tenant_without_a_decision_is_allowed() -> None:
    assert book_with(denied()).check("globex", NOW_NS) is ALLOWED


@pytest.mark.parametrize(
    ("status", "code"),
    [(402, "payment_required"), (403, "forbidden"), (429, "limit_exceeded")],
)
def test_the_rule_chooses_the_status(status: int, code: str) -> None:
    verdict = book_with(denied(status=status)).check("acme", NOW_NS)
    assert (verdict.status, verdict.problem()["code"]) == (status, code)


def test_a_throttled_tenant_gets_its_burst_and_then_its_rate() -> None:
    book = book_with(denied(state="throttle", rate=Decimal(2), burst=3))
    assert [book.check("acme", NOW_NS).allowed for _ in range(5)] == [True] * 3 + [False] * 2
    refused = book.check("acme", NOW_NS)
    assert (refused.status, refused.retry_after) == (429, 1)
    assert book.check("acme", NOW_NS + SECOND // 2).allowed


def test_a_new_decision_keeps_what_was_spent() -> None:
    book = book_with(denied(state="throttle", rate=Decimal(1), burst=2))
    book.check("acme", NOW_NS)
    book.check("acme", NOW_NS)
    book.apply(denied(state="throttle", rate=Decimal(1), burst=2, revision=8))
    assert not book.check("acme", NOW_NS).allowed


def test_older_revisions_change_nothing() -> None:
    book = book_with(denied(revision=7))
    assert not book.apply(denied(state="allow", revision=7))
    assert not book.apply(denied(state="allow", revision=6))
    assert not book.check("acme", NOW_NS).allowed
    assert book.apply(denied(state="allow", revision=8))
    assert book.check("acme", NOW_NS).allowed
    assert book.revision == 8


def test_a_snapshot_forgets_what_it_does_not_name() -> None:
    book = book_with(denied())
    book.replace([denied(tenant="globex", revision=9)], revision=12)
    assert book.check("acme", NOW_NS) is ALLOWED
    assert not book.check("globex", NOW_NS).allowed
    assert book.revision == 12


def test_shadow_rules_are_named_and_never_refuse() -> None:
    shadow = (Shadow(rule="trial", rule_version=1, state="deny"),)
    verdict = book_with(denied(state="allow", shadow=shadow)).check("acme", NOW_NS)
    assert verdict.allowed
    assert verdict.shadow == ("trial",)


@pytest.mark.parametrize(
    ("policy", "silent_seconds", "expected"),
    [
        (None, 31, 429),
        (None, 3601, 200),
        (OnFailure(kind="fail_open"), 29, 429),
        (OnFailure(kind="fail_open"), 31, 200),
        (OnFailure(kind="fail_closed"), 31, 503),
        (OnFailure(kind="last_known", max_age_seconds=60), 59, 429),
        (OnFailure(kind="last_known", max_age_seconds=60), 61, 200),
    ],
)
def test_a_silent_centre_brings_the_failure_policy(
    policy: OnFailure | None, silent_seconds: int, expected: int
) -> None:
    book = book_with(denied(on_failure=policy))
    assert book.check("acme", NOW_NS + silent_seconds * SECOND).status == expected


def test_the_safe_rate_lets_some_requests_through() -> None:
    policy = OnFailure(kind="safe_rate", rate=Decimal(1), burst=2)
    book = book_with(denied(state="allow", on_failure=policy))
    later = NOW_NS + 31 * SECOND
    assert [book.check("acme", later).allowed for _ in range(4)] == [True, True, False, False]
    book.heard(later)
    assert book.check("acme", later).allowed


def test_decisions_from_disk_hold_before_the_centre_was_heard() -> None:
    book = Book()
    book.replace([denied()])
    assert book.check("acme", NOW_NS).status == 429


def test_a_decision_survives_the_wire() -> None:
    decision = denied(
        on_failure=OnFailure(kind="safe_rate", rate=Decimal("0.5"), burst=1),
        shadow=(Shadow(rule="trial", rule_version=1, state="throttle", rate=Decimal(1)),),
    )
    assert decode_decision(encode(decision)) == decision


def test_a_dear_request_spends_more_and_one_beyond_the_burst_never_passes() -> None:
    book = book_with(denied(state="throttle", rate=Decimal(1), burst=3))
    assert book.check("acme", NOW_NS, cost=2).allowed
    refused = book.check("acme", NOW_NS, cost=2)
    assert (refused.allowed, refused.retry_after) == (False, 1)
    never = book.check("acme", NOW_NS, cost=4)
    assert (never.allowed, never.retry_after) == (False, None)


def test_a_rate_below_or_at_zero_is_refused() -> None:
    for rate in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="rate must be"):
            interval_ns(Decimal(rate))


@given(
    rate=st.decimals("0.01", "1000000", places=2),
    burst=st.integers(1, 1000),
    gaps_ns=st.lists(st.integers(0, 3 * SECOND), max_size=200),
)
def test_no_more_than_rate_times_time_plus_burst_passes(
    rate: Decimal, burst: int, gaps_ns: list[int]
) -> None:
    limiter = Gcra(rate, burst)
    now_ns = NOW_NS
    passed = 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        left = limiter.remaining(now_ns)
        wait_ns = limiter.admit(now_ns)
        assert (wait_ns == 0) == (left > 0)
        passed += wait_ns == 0
        assert passed <= burst + rate * (now_ns - NOW_NS) / SECOND


@given(st.integers(1, 10), st.integers(-(10**12), 10**12))
def test_a_clock_that_steps_never_locks_out_longer_than_a_bucket(burst: int, step_ns: int) -> None:
    limiter = Gcra(Decimal(10), burst)
    while limiter.admit(NOW_NS) == 0:
        pass
    wait_ns = limiter.admit(NOW_NS + step_ns)
    assert wait_ns is not None
    assert wait_ns <= limiter.interval_ns * burst
