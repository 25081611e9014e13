"""Every metric of the collector, in one place."""

from prometheus_client import Counter, Gauge, Histogram

events_accepted = Counter(
    "tollgate_collector_events_accepted",
    "Events that apps handed over and that are on disk.",
)
events_rejected = Counter(
    "tollgate_collector_events_rejected",
    "Events of apps that were refused, by the code they were told.",
    ["code"],
)
tail_lines = Counter(
    "tollgate_collector_tail_lines",
    "Lines of the tailed log: usage, bad, or skipped, by the reason.",
    ["outcome"],
)
spool_refusals = Counter(
    "tollgate_collector_spool_refusals",
    "Requests refused with 503 because the spool was full or broken.",
    ["code"],
)
spool_bytes = Gauge("tollgate_collector_spool_bytes", "Bytes in use in the spool file.")
spool_events = Gauge("tollgate_collector_spool_events", "Events that the centre has not taken.")
spool_backlog = Gauge(
    "tollgate_collector_spool_backlog",
    "Events of an outage that newer ones have overtaken and that the centre has not taken yet.",
)
spool_full = Gauge("tollgate_collector_spool_full", "1 while new usage is refused for space.")
parked = Gauge(
    "tollgate_collector_parked",
    "Items kept aside with a reason: bad lines, and events that the centre refused for good.",
)
batches_sent = Counter("tollgate_collector_batches_sent", "Batches that the centre took.")
batch_failures = Counter(
    "tollgate_collector_batch_failures",
    "Attempts to send a batch that failed, by status or kind of error.",
    ["reason"],
)
events_shipped = Counter("tollgate_collector_events_shipped", "Events that the centre took.")
events_parked = Counter(
    "tollgate_collector_events_parked",
    "Events that the centre refused for good and that are kept here. Look at /v1/parked.",
)
sealed_lag_seconds = Gauge(
    "tollgate_collector_sealed_lag_seconds",
    "How far the time sealed at the centre lies behind now.",
)
decisions_revision = Gauge(
    "tollgate_collector_decisions_revision", "Revision of the decisions in force."
)
decisions_silence_seconds = Gauge(
    "tollgate_collector_decisions_silence_seconds",
    "Seconds since the throttler was heard last.",
)
decisions_rollbacks = Counter(
    "tollgate_collector_decisions_rollbacks",
    "Snapshots that were refused because their revision is older than ours.",
)
decision_staleness = Histogram(
    "tollgate_collector_decision_staleness_seconds",
    "From the newest usage that a decision saw to its taking effect here.",
    buckets=(0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300),
)
checks = Counter(
    "tollgate_collector_checks",
    "Requests checked, by the status they were given.",
    ["status"],
)
shadow_refusals = Counter(
    "tollgate_collector_shadow_refusals",
    "Requests that a rule in shadow mode would have refused or slowed.",
    ["rule"],
)
