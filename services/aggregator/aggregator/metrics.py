"""Metrics of the aggregator, besides the kernel's."""

from prometheus_client import Counter, Gauge

EVENTS = Counter("tollgate_aggregator_events_total", "Events folded, backfills excepted.")
UNMETERED = Counter(
    "tollgate_aggregator_unmetered_events_total", "Events of a type that no meter reads."
)
UNREADABLE = Counter(
    "tollgate_aggregator_unreadable_total",
    "Events that a meter could not read, by the reason.",
    ["reason"],
)
ROWS = Counter("tollgate_aggregator_rows_total", "Rollup rows written, by table.", ["table"])
PUBLISHED = Counter("tollgate_aggregator_rollups_published_total", "Rollup records published.")
BACKFILLED = Counter(
    "tollgate_aggregator_backfilled_events_total", "Old events read for meters made after them."
)
BACKFILL_LEFT = Gauge(
    "tollgate_aggregator_backfill_records",
    "Records that backfills of a partition have still to read.",
    ["partition"],
)
