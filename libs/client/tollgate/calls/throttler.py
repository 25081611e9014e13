"""Calls to the throttler: rules and decisions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tollgate.call import Call, get, query, segment, send
from tollgate.models import Decisions, Explanation, Page, Rule


def put_rule(slug: str, body: Mapping[str, Any]) -> Call[Rule]:
    """Create a rule or make a new version of it."""
    return send("throttler", "PUT", f"/v1/rules/{segment(slug)}", Rule, body)


def put_rule_body(
    slug: str,
    body: Mapping[str, Any],
    *,
    dry_run: bool = False,
    assume_meter: bool = False,
    in_force: int | None = None,
) -> Call[dict[str, Any]]:
    """As `put_rule`, with all that the service says; a dry run changes nothing. `in_force`: the
    version that is replaced, 0 for none; where it is another one, a `Conflict`."""
    path = f"/v1/rules/{segment(slug)}"
    call: Call[dict[str, Any]] = send("throttler", "PUT", path, dict[str, Any], body)
    asked = {
        "dry_run": dry_run or None,
        "assume_meter": assume_meter or None,
        "in_force": in_force,
    }
    return replace(call, params=query(asked))


def rule_bodies(*, limit: int | None = None) -> Call[Page[dict[str, Any]]]:
    """All rules, with all that the service says."""
    return get("throttler", "/v1/rules", Page[dict[str, Any]], limit=limit)


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
