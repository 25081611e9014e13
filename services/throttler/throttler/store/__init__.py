"""Every SQL statement of the throttler. Functions take a connection; callers own transactions."""

from throttler.store.decisions import (
    decision_log,
    decisions_of,
    decisions_revision,
    decisions_since,
    save_decisions,
)
from throttler.store.revisions import DECISIONS_REVISION, RULES_REVISION, SCHEMA
from throttler.store.rules import (
    RuleChanged,
    StoredRule,
    current_rules,
    delete_rule,
    put_rule,
    rule,
    rule_history,
    rules_in_force,
    rules_revision,
)
from throttler.store.tenants import (
    TenantState,
    known_tenants,
    mark_dirty,
    save_tenant_states,
    take_due,
    tenant_states,
    upsert_tenants,
)

__all__ = [
    "DECISIONS_REVISION",
    "RULES_REVISION",
    "SCHEMA",
    "RuleChanged",
    "StoredRule",
    "TenantState",
    "current_rules",
    "decision_log",
    "decisions_of",
    "decisions_revision",
    "decisions_since",
    "delete_rule",
    "known_tenants",
    "mark_dirty",
    "put_rule",
    "rule",
    "rule_history",
    "rules_in_force",
    "rules_revision",
    "save_decisions",
    "save_tenant_states",
    "take_due",
    "tenant_states",
    "upsert_tenants",
]
