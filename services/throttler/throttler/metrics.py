"""Metrics of the throttler."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "tollgate_decisions_total", "Decisions written because something changed, by state.", ["state"]
)
STALENESS_SECONDS = Histogram(
    "tollgate_decision_staleness_seconds",
    "Age of the usage that a decision saw: decided_at minus as_of, in seconds.",
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
)
EVALUATED = Counter("tollgate_tenants_evaluated_total", "Evaluations of a tenant's rules.")
SHADOW_HOLDS = Counter(
    "tollgate_shadow_holds_total",
    "Decisions in which a shadow rule would have refused or slowed the tenant.",
    ["rule"],
)
REVISION = Gauge("tollgate_decisions_revision", "Highest revision that this process has seen.")
FOLLOWERS = Gauge("tollgate_decision_followers", "Edges that follow decisions by SSE here.")
