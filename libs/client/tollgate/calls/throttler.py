"""Calls to the throttler: rules and decisions."""

from collections.abc import Mapping
from typing import Any

from tollgate.call import Call, get, segment, send
from tollgate.models import Decisions, Explanation, Page, Rule


def put_rule(slug: str, body: Mapping[str, Any]) -> Call[Rule]:
    """Create a rule or make a new version of it."""
    return send("throttler", "PUT", f"/v1/rules/{segment(slug)}", Rule, body)


def rule(slug: str) -> Call[Rule]:
    """A rule's current version."""
    return get("throttler", f"/v1/rules/{segment(slug)}", Rule)


def rules(*, limit: int | None = None) -> Call[Page[Rule]]:
    """The rules in force."""
    return get("throttler", "/v1/rules", Page[Rule], limit=limit)


def delete_rule(slug: str) -> Call[None]:
    """Take a rule out of force."""
    return send("throttler", "DELETE", f"/v1/rules/{segment(slug)}", None)


def decisions(since: int | None = None, *, wait: int | None = None) -> Call[Decisions]:
    """Decisions above revision `since` (everything without it), waiting up to `wait` seconds."""
    return get("throttler", "/v1/decisions", Decisions, since=since, wait=wait)


def decision(tenant: str) -> Call[Explanation]:
    """A tenant's decision, and why."""
    return get("throttler", f"/v1/decisions/{segment(tenant)}", Explanation)


def decision_log(tenant: str, *, limit: int | None = None) -> Call[Page[dict[str, Any]]]:
    """Every decision ever made about a tenant, newest first."""
    return get(
        "throttler", f"/v1/decisions/{segment(tenant)}/log", Page[dict[str, Any]], limit=limit
    )
