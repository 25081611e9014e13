"""Calls to rating: tenants, plans, subscriptions, charges, re-ratings, simulations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from tollgate.call import Call, get, query, segment, send
from tollgate.models import (
    Charge,
    ChargeExplanation,
    Page,
    Plan,
    Rerate,
    RerateLine,
    Simulation,
    Subscription,
    Tenant,
)

LONG_SECONDS: Final = 600.0
"""The time-out for previews, approvals and simulations: each rates all tenants in one request, and
simulations wait for each other."""


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


def catalog() -> Call[dict[str, Any]]:
    """All plans in canonical form, the catalog's revision, and who is on which version."""
    return get("rating", "/v1/catalog", dict[str, Any])


def publish(
    plans: Sequence[Mapping[str, Any]],
    *,
    meters: Mapping[str, Any] | None = None,
    revision: int | None = None,
    reason: str = "",
    by: str = "",
    dry_run: bool = False,
) -> Call[dict[str, Any]]:
    """Publish plans in one revision, or in a dry run ask what would change. `meters`: those that
    are about to be defined, as {aggregation, group_by, unit} or only their units. `revision`: what
    the catalog must be at."""
    body = {
        "plans": plans,
        "revision": revision,
        "reason": reason,
        "by": by,
        "meters": meters or {},
    }
    call: Call[dict[str, Any]] = send("rating", "POST", "/v1/catalog", dict[str, Any], body)
    return replace(call, params=query({"dry_run": True})) if dry_run else call


def plan_schema() -> Call[dict[str, Any]]:
    """The JSON Schema of a plan."""
    return get("rating", "/v1/catalog/schema", dict[str, Any])


def change_subscription(
    id: str, body: Mapping[str, Any], *, preview: bool = False
) -> Call[dict[str, Any]]:
    """Record a change of a subscription, or ask what it would do."""
    path = f"/v1/subscriptions/{segment(id)}/changes"
    call: Call[dict[str, Any]] = send("rating", "POST", path, dict[str, Any], body, once=True)
    return replace(call, params=query({"preview": True})) if preview else call


def subscription_history(id: str) -> Call[dict[str, Any]]:
    """Every fact of a subscription, and the segments that they fold to."""
    return get("rating", f"/v1/subscriptions/{segment(id)}/history", dict[str, Any])


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


def explain_charge(id: str, *, levels_after: str | None = None) -> Call[ChargeExplanation]:
    """How a charge's amount came about; its `usage` has the cursor of further rows, and where the
    meter is a gauge in `levels` that of further levels (`levels_after`)."""
    path = f"/v1/charges/{segment(id)}/explain"
    return get("rating", path, ChargeExplanation, levels_cursor=levels_after)


def preview_rerate(
    start: date,
    end: date,
    *,
    reason: str,
    by: str,
    tenants: Sequence[str] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> Call[Rerate]:
    """Ask what rating the billing periods again would change that begin in [`start`, `end`), days
    of each tenant's clock or instants, for `tenants` (None: all). `plan`:
    {"slug", "version", "replaces"}, a version with the right prices; None: as things are."""
    body = {"from": start, "to": end, "reason": reason, "by": by, "tenants": tenants, "plan": plan}
    return send("rating", "POST", "/v1/rerates", Rerate, body, once=True)


def rerates(*, limit: int | None = None) -> Call[Page[Rerate]]:
    """All re-ratings, the newest first."""
    return get("rating", "/v1/rerates", Page[Rerate], limit=limit)


def rerate(id: str) -> Call[Rerate]:
    """A re-rating."""
    return get("rating", f"/v1/rerates/{segment(id)}", Rerate)


def rerate_lines(
    id: str, *, tenant: str | None = None, limit: int | None = None
) -> Call[Page[RerateLine]]:
    """The charges whose amounts a re-rating changes."""
    path = f"/v1/rerates/{segment(id)}/lines"
    return get("rating", path, Page[RerateLine], tenant=tenant, limit=limit)


def approve_rerate(id: str, *, by: str) -> Call[Rerate]:
    """Apply what was previewed, once."""
    return send("rating", "POST", f"/v1/rerates/{segment(id)}/approve", Rerate, {"by": by})


def discard_rerate(id: str, *, by: str) -> Call[Rerate]:
    """Decide against a re-rating."""
    return send("rating", "POST", f"/v1/rerates/{segment(id)}/discard", Rerate, {"by": by})


def simulate(
    replaces: str,
    draft: Mapping[str, Any],
    start: date,
    end: date,
    *,
    tenants: Sequence[str] | None = None,
) -> Call[Simulation]:
    """What `draft` would have earned in the billing periods that begin in [`start`, `end`), days of
    each tenant's clock or instants. It stands for all versions of the plan `replaces`; `tenants`:
    of its subscribers (None: all). Changes nothing."""
    body = {"replaces": replaces, "plan": draft, "from": start, "to": end, "tenants": tenants}
    return send("rating", "POST", "/v1/simulations", Simulation, body)
