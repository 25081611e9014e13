"""Where a rule's window begins and ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.throttler.build import NOW, rule, subscription, tenant
from throttler.rules import AppliesTo, applicable
from throttler.windows import next_change, window_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "zone", "now", "start", "end"),
    [
        ("minute", "UTC", "12:34:56+00:00", "12:34+00:00", "12:35+00:00"),
        ("hour", "UTC", "12:34:56+00:00", "12:00+00:00", "13:00+00:00"),
        ("hour", "Asia/Kolkata", "12:34:56+00:00", "12:30+00:00", "13:30+00:00"),
        ("day", "Asia/Kolkata", "12:34:56+00:00", "00:00+05:30", "24:00+05:30"),
    ],
)
def test_windows_within_a_day(window: str, zone: str, now: str, start: str, end: str) -> None:
    def moment(text: str) -> datetime:
        if text.startswith("24"):
            return at(f"2026-05-15T00{text[2:]}") + timedelta(days=1)
        return at(f"2026-05-15T{text}")

    found = window_of(rule(window=window), tenant(timezone=zone), moment(now))
    assert (found.start, found.end) == (moment(start), moment(end))


def test_a_day_with_a_change_of_clocks_has_23_hours() -> None:
    found = window_of(rule(), tenant(timezone="Europe/Berlin"), at("2026-03-29T12:00+02:00"))
    assert (found.start, found.end) == (at("2026-03-29T00:00+01:00"), at("2026-03-30T00:00+02:00"))


def test_a_month_is_the_tenants_own() -> None:
    found = window_of(
        rule(window="month"), tenant(timezone="America/New_York"), at("2026-06-01T02:00+00:00")
    )
    assert (found.start, found.end) == (at("2026-05-01T00:00-04:00"), at("2026-06-01T00:00-04:00"))


def test_a_billing_period_follows_the_subscription() -> None:
    pro = subscription(start=at("2026-05-10T00:00+00:00"))
    found = window_of(rule(window="billing_period"), tenant(pro, billing_day=20), NOW)
    assert (found.start, found.end) == (at("2026-05-10T00:00+00:00"), at("2026-05-20T00:00+00:00"))


def test_bill_now_starts_the_quota_again() -> None:
    cut = at("2026-05-12T10:00+00:00")
    found = window_of(rule(window="billing_period"), tenant(subscription(cuts=[cut])), NOW)
    assert (found.start, found.end) == (cut, at("2026-06-01T00:00+00:00"))


def test_a_rule_for_a_plan_looks_at_that_plans_subscription() -> None:
    base = subscription("base")
    extra = subscription("extra", start=at("2026-05-14T00:00+00:00"))
    acme = tenant(base, extra)
    for_extra = rule(window="billing_period", applies_to=AppliesTo("plan", "extra"))
    for_all = rule(window="billing_period")
    assert window_of(for_extra, acme, NOW).start == extra.start
    assert window_of(for_all, acme, NOW).start == at("2026-05-01T00:00+00:00")


def test_without_a_subscription_the_billing_day_counts() -> None:
    found = window_of(rule(window="billing_period"), tenant(billing_day=31), NOW)
    assert (found.start, found.end) == (at("2026-04-30T00:00+00:00"), at("2026-05-31T00:00+00:00"))
    unknown = window_of(rule(window="billing_period"), None, NOW)
    assert unknown.start == at("2026-05-01T00:00+00:00")


def test_a_time_zone_that_nobody_knows_is_utc() -> None:
    found = window_of(rule(), tenant(timezone="Mars/Olympus"), NOW)
    assert found.start == at("2026-05-15T00:00+00:00")


def test_the_next_change_is_the_first_end_or_begin() -> None:
    coming = subscription(start=NOW + timedelta(minutes=20))
    rules = [rule("day"), rule("hour", window="hour")]
    assert next_change(rules, tenant(), NOW) == NOW + timedelta(hours=1)
    assert next_change(rules, tenant(coming), NOW) == coming.start
    assert next_change([], tenant(), NOW) is None


def test_rules_find_their_tenants() -> None:
    ended = subscription("old", end=NOW - timedelta(days=1))
    acme = tenant(subscription("pro"), ended)
    rules = [
        rule("all"),
        rule("mine", applies_to=AppliesTo("tenant", "acme")),
        rule("other", applies_to=AppliesTo("tenant", "globex")),
        rule("pro", applies_to=AppliesTo("plan", "pro")),
        rule("old", applies_to=AppliesTo("plan", "old")),
    ]
    assert [one.slug for one in applicable(rules, "acme", acme, NOW)] == ["all", "mine", "pro"]
    assert [one.slug for one in applicable(rules, "acme", None, NOW)] == ["all", "mine"]


@given(
    st.sampled_from(["minute", "hour", "day", "month", "billing_period"]),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
    st.integers(1, 31),
)
def test_windows_tile_time(window: str, zone: str, moment: datetime, billing_day: int) -> None:
    now = moment.replace(tzinfo=UTC)
    acme = tenant(subscription(), timezone=zone, billing_day=billing_day)
    found = window_of(rule(window=window), acme, now)
    assert found.start <= now < found.end
    following = window_of(rule(window=window), acme, found.end)
    assert following.start == found.end


def test_a_billing_period_is_as_long_as_the_plan_says() -> None:
    """Two weeks from the subscription's anniversary; the second of them holds now."""
    since = at("2026-05-01T10:00+00:00")
    subscribed = subscription(start=since, unit="week", count=2, since=since)
    found = window_of(
        rule(window="billing_period"),
        tenant(subscriptions=[subscribed]),
        at("2026-05-20T00:00+00:00"),
    )
    assert (found.start, found.end) == (at("2026-05-15T10:00+00:00"), at("2026-05-29T10:00+00:00"))
