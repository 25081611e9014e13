"""Calls to rating: tenants, plans, subscriptions, charges."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tollgate.call import Call, get, segment, send
from tollgate.models import Charge, ChargeExplanation, Page, Plan, Subscription, Tenant


def put_tenant(key: str, body: Mapping[str, Any]) -> Call[Tenant]:
    """Define a tenant."""
    return send("rating", "PUT", f"/v1/tenants/{segment(key)}", Tenant, body)


def tenant(key: str) -> Call[Tenant]:
    """A tenant."""
    return get("rating", f"/v1/tenants/{segment(key)}", Tenant)


def put_plan(slug: str, body: Mapping[str, Any]) -> Call[Plan]:
    """Define a plan; a changed body makes a new version."""
    return send("rating", "PUT", f"/v1/plans/{segment(slug)}", Plan, body)


def plan(slug: str) -> Call[Plan]:
    """A plan's newest version."""
    return get("rating", f"/v1/plans/{segment(slug)}", Plan)


def subscribe(body: Mapping[str, Any]) -> Call[Subscription]:
    """Subscribe a tenant to a plan: {"tenant", "plan", "version", "start", "end"}."""
    return send("rating", "POST", "/v1/subscriptions", Subscription, body, once=True)


def subscriptions(
    *, tenant: str | None = None, limit: int | None = None
) -> Call[Page[Subscription]]:
    """Subscriptions."""
    return get("rating", "/v1/subscriptions", Page[Subscription], tenant=tenant, limit=limit)


def charges(
    *,
    tenant: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int | None = None,
) -> Call[Page[Charge]]:
    """Charges of periods that touch [`start`, `end`), one item a price and period."""
    return get(
        "rating", "/v1/charges", Page[Charge], tenant=tenant, from_=start, to=end, limit=limit
    )


def explain_charge(id: str) -> Call[ChargeExplanation]:
    """How a charge's amount came about; its `usage` has the cursor of further rows."""
    return get("rating", f"/v1/charges/{segment(id)}/explain", ChargeExplanation)
