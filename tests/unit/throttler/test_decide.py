"""What is decided from rules and usage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.decisions import OnFailure
from tests.unit.throttler.build import NOW, facts, rule
from throttler.decide import Facts, decide, evaluate, held_by, same_meaning
from throttler.rules import Deny, Rule, Throttle
from throttler.windows import window_of

SEVERITY = {"allow": 0, "throttle": 1, "deny": 2}


def test_a_tenant_below_its_limit_may_go_on_and_at_it_may_not() -> None:
    daily = rule(action=Deny(402))
    below = decide([daily], facts({"daily": "99.999"}, daily), NOW)
    assert (below.state, below.status, below.rule) == ("allow", 200, None)

    at = decide([daily], facts({"daily": "100"}, daily), NOW)
    assert (at.state, at.status, at.rule, at.rule_version) == ("deny", 402, "daily", 1)
    assert (at.usage, at.limit, at.meter, at.window) == (
        Decimal(100),
        Decimal(100),
        "requests",
        "day",
    )
    assert at.window_end == at.expires_at == datetime(2026, 5, 16, tzinfo=UTC)
    assert at.retry_after == 12 * 3600
    assert at.as_of == NOW
    assert at.reason == "rule daily: 100 of 100 requests used in this day"


def test_no_rule_means_allow() -> None:
    decision = decide([], Facts(tenant="acme", windows={}), NOW)
    assert (decision.state, decision.reason) == ("allow", "no rule applies")
    assert decision.on_failure is None


def test_usage_that_is_not_known_counts_as_none() -> None:
    daily, blocked = rule(), rule("blocked", limit=Decimal(0), action=Deny(403))
    assert decide([daily], facts({}, daily), NOW).state == "allow"
    decision = decide([blocked], facts({}, blocked), NOW)
    assert (decision.state, decision.status) == ("deny", 403)
    assert decision.window_end is None
    assert decision.expires_at is None
    assert decision.retry_after is None


def test_throttling_carries_its_rate() -> None:
    slow = rule(action=Throttle(Decimal("0.4"), 5))
    decision = decide([slow], facts({"daily": "100"}, slow), NOW)
    assert (decision.state, decision.status) == ("throttle", 429)
    assert (decision.rate, decision.burst, decision.retry_after) == (Decimal("0.4"), 5, 3)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Deny(), Throttle(Decimal(1), 1)),
        (Throttle(Decimal(1), 1), Throttle(Decimal(2), 1)),
        (Deny(403), Deny(402)),
        (Deny(402), Deny(429)),
    ],
)
def test_the_stricter_action_wins(first: Deny | Throttle, second: Deny | Throttle) -> None:
    strict, mild = rule("z-strict", action=first), rule("a-mild", action=second)
    both = facts({"z-strict": "100", "a-mild": "100"}, strict, mild)
    assert decide([mild, strict], both, NOW).rule == "z-strict"
    assert decide([strict, mild], both, NOW).rule == "z-strict"


def test_of_two_refusals_the_longer_one_is_told() -> None:
    day, month = rule("day"), rule("month", window="month")
    decision = decide([day, month], facts({"day": "100", "month": "100"}, day, month), NOW)
    assert decision.rule == "month"
    assert decision.window_end == datetime(2026, 6, 1, tzinfo=UTC)


def test_shadow_rules_are_listed_and_never_block() -> None:
    trial = rule("trial", mode="shadow", action=Deny(403), on_failure=OnFailure(kind="fail_closed"))
    daily = rule()
    decision = decide([daily, trial], facts({"daily": "5", "trial": "100"}, daily, trial), NOW)
    assert decision.state == "allow"
    assert decision.on_failure == OnFailure(kind="last_known")
    (shadow,) = decision.shadow
    assert (shadow.rule, shadow.state, shadow.status) == ("trial", "deny", 403)
    assert (shadow.usage, shadow.limit) == (Decimal(100), Decimal(100))


def test_the_strictest_failure_policy_of_all_rules_holds() -> None:
    slow = OnFailure(kind="safe_rate", rate=Decimal(1), burst=1)
    fast = OnFailure(kind="safe_rate", rate=Decimal(9), burst=1)
    last = OnFailure(kind="last_known", max_age_seconds=60)
    closed, opened = OnFailure(kind="fail_closed"), OnFailure(kind="fail_open")

    def policy(*policies: OnFailure) -> OnFailure | None:
        rules = [rule(f"rule-{n}", on_failure=one) for n, one in enumerate(policies)]
        return decide(rules, facts({}, *rules), NOW).on_failure

    assert policy(opened, last, fast, slow, closed) == closed
    assert policy(opened, last, fast, slow) == slow
    assert policy(opened, last) == last
    assert policy(opened) == opened


def test_hysteresis_holds_a_gauge_until_it_is_well_below() -> None:
    gauge = rule("gauge", release=Decimal(80))
    free = facts({"gauge": "90"}, gauge)
    assert decide([gauge], free, NOW).state == "allow"

    held = held_by(evaluate([gauge], facts({"gauge": "100"}, gauge)))
    assert decide([gauge], facts({"gauge": "90"}, gauge, held=held), NOW).state == "deny"
    assert decide([gauge], facts({"gauge": "80"}, gauge, held=held), NOW).state == "deny"
    assert decide([gauge], facts({"gauge": "79"}, gauge, held=held), NOW).state == "allow"


def test_hysteresis_ends_with_the_window_and_with_the_version() -> None:
    gauge = rule("gauge", release=Decimal(80))
    held = held_by(evaluate([gauge], facts({"gauge": "100"}, gauge)))
    tomorrow = NOW + timedelta(days=1)
    next_day = facts({"gauge": "90"}, gauge, now=tomorrow, held=held)
    assert decide([gauge], next_day, tomorrow).state == "allow"
    changed = rule("gauge", release=Decimal(80), version=2)
    assert decide([changed], facts({"gauge": "90"}, changed, held=held), NOW).state == "allow"


def test_more_usage_alone_is_no_news() -> None:
    daily = rule()
    one = decide([daily], facts({"daily": "100"}, daily), NOW)
    later = NOW + timedelta(hours=1)
    two = decide([daily], facts({"daily": "5000"}, daily, now=later), later)
    assert same_meaning(one, two)
    tomorrow = NOW + timedelta(days=1)
    assert not same_meaning(
        one, decide([daily], facts({"daily": "100"}, daily, now=tomorrow), tomorrow)
    )
    raised = rule(limit=Decimal(50), version=2)
    assert not same_meaning(one, decide([raised], facts({"daily": "100"}, raised), NOW))


limits = st.decimals("0", "1000", places=2)
actions = st.one_of(
    st.sampled_from([Deny(402), Deny(403), Deny(429)]),
    st.builds(Throttle, st.decimals("0.01", "100", places=2), st.integers(1, 10)),
)
rule_sets = st.lists(
    st.builds(
        rule,
        slug=st.sampled_from(["a", "b", "c", "d"]),
        limit=limits,
        action=actions,
        mode=st.sampled_from(["enforce", "shadow"]),
        window=st.sampled_from(["minute", "hour", "day", "month"]),
    ),
    unique_by=lambda one: one.slug,
)


@given(rule_sets, st.decimals("0", "2000", places=2), st.decimals("0", "2000", places=2))
def test_more_usage_never_frees(rules: list[Rule], one: Decimal, other: Decimal) -> None:
    def at(usage: Decimal) -> int:
        used = facts({r.slug: str(usage) for r in rules}, *rules)
        return SEVERITY[decide(rules, used, NOW).state]

    less, more = sorted((one, other))
    assert at(less) <= at(more)


@given(rule_sets, st.decimals("0", "2000", places=2), st.randoms())
def test_the_order_of_rules_does_not_matter(rules: list[Rule], usage: Decimal, random) -> None:  # type: ignore[no-untyped-def]
    used = facts({r.slug: str(usage) for r in rules}, *rules)
    shuffled = list(rules)
    random.shuffle(shuffled)
    one, other = decide(rules, used, NOW), decide(shuffled, used, NOW)
    assert (one.state, one.rule, one.rate, one.window_end) == (
        other.state,
        other.rule,
        other.rate,
        other.window_end,
    )


@given(rule_sets, st.decimals("0", "2000", places=2))
def test_it_is_level_triggered(rules: list[Rule], usage: Decimal) -> None:
    """Without hysteresis the past does not matter; deciding twice is deciding once."""
    used = facts({r.slug: str(usage) for r in rules}, *rules)
    remembered = held_by(evaluate(rules, used))
    assert remembered == frozenset()
    assert same_meaning(decide(rules, used, NOW), decide(rules, used, NOW))


@given(rule_sets, st.decimals("0", "2000", places=2))
def test_without_its_rule_a_tenant_is_freed(rules: list[Rule], usage: Decimal) -> None:
    used = facts({r.slug: str(usage) for r in rules}, *rules)
    decision = decide(rules, used, NOW)
    if decision.rule is not None:
        rest = [r for r in rules if r.limit > usage or r.mode == "shadow"]
        assert decide(rest, used, NOW).state == "allow"


def test_windows_of_different_rules_are_their_own() -> None:
    minute, day = rule("minute", window="minute"), rule("day")
    used = facts({"minute": "100", "day": "1"}, minute, day)
    decision = decide([minute, day], used, NOW)
    assert decision.window_end == window_of(minute, None, NOW).end
