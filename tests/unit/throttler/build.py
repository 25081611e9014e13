"""Rules, tenants and facts for the tests, as short as their differences."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from common.contracts.tenants import Tenant, TenantSubscription
from throttler.decide import Facts, Held
from throttler.rules import AppliesTo, Deny, Rule
from throttler.windows import window_of

NOW = datetime(2026, 5, 15, 12, 0, tzinfo=UTC)


def rule(slug: str = "daily", **changes: Any) -> Rule:
    fields: dict[str, Any] = {
        "slug": slug,
        "version": 1,
        "meter": "requests",
        "applies_to": AppliesTo("all"),
        "window": "day",
        "limit": Decimal(100),
        "action": Deny(),
    }
    return Rule(**(fields | changes))


def tenant(*subscriptions: TenantSubscription, **changes: Any) -> Tenant:
    fields: dict[str, Any] = {
        "key": "acme",
        "name": "Acme",
        "currency": "EUR",
        "timezone": "UTC",
        "billing_day": 1,
        "subscriptions": list(subscriptions),
    }
    return Tenant(**(fields | changes))


def subscription(plan: str = "pro", **changes: Any) -> TenantSubscription:
    fields: dict[str, Any] = {
        "id": f"sub-{plan}",
        "plan": plan,
        "plan_version": 1,
        "start": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return TenantSubscription(**(fields | changes))


def facts(
    usage: dict[str, str],
    *rules: Rule,
    now: datetime = NOW,
    held: frozenset[Held] = frozenset(),
) -> Facts:
    """Facts of tenant acme in UTC: usage by rule slug, windows as the rules have them."""
    return Facts(
        tenant="acme",
        windows={one.slug: window_of(one, None, now) for one in rules},
        usage={slug: Decimal(value) for slug, value in usage.items()},
        held=held,
        as_of=now,
    )
