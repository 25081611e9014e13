"""Why a tenant may or may not go on: the decision in force, and each rule against usage now."""

from datetime import datetime
from typing import Any

import msgspec

from common.money import plain
from common.usage import UsageProjection
from throttler import store
from throttler.decide import Evaluation, decide, evaluate
from throttler.facts import Subject, gather
from throttler.rules import applicable

LOG_ENTRIES = 10


async def explain(connection: Any, key: str, now: datetime) -> dict[str, Any]:
    """JSON values: the decision's fields, `known`, `rules` (evaluated at `now`) and `log`.

    The decision is the one in force; where none was ever written, the one that holds without it
    (revision 0).
    """
    tenant = (await store.known_tenants(connection, [key])).get(key)
    rules = applicable(await store.rules_in_force(connection), key, tenant, now)
    before = (await store.tenant_states(connection, [key])).get(key)
    subject = Subject(key, tenant, rules, before.held if before else frozenset())
    [facts] = await gather(connection, UsageProjection(store.SCHEMA), [subject], now, None)
    decision = (await store.decisions_of(connection, [key])).get(key)
    if decision is None:
        decision = decide(rules, facts, now)
    log = await store.decision_log(connection, key, None, LOG_ENTRIES)
    return {
        **msgspec.structs.asdict(decision),
        "known": tenant is not None or before is not None,
        "rules": [_shown(one) for one in evaluate(rules, facts)],
        "log": [log_entry(row) for row in log],
    }


def log_entry(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the log as JSON values."""
    amounts = {name: None if row[name] is None else plain(row[name]) for name in ("usage", "limit")}
    return row | amounts


def _shown(one: Evaluation) -> dict[str, Any]:
    left = max(one.rule.limit - one.usage, one.rule.limit * 0)
    return {
        "rule": one.rule.slug,
        "rule_version": one.rule.version,
        "mode": one.rule.mode,
        "state": one.state,
        "meter": one.rule.meter,
        "usage": plain(one.usage),
        "limit": plain(one.rule.limit),
        "remaining": plain(left),
        "window": one.rule.window,
        "window_start": one.window.start,
        "window_end": one.window.end,
    }
