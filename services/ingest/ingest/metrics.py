"""Metrics of ingest."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "tollgate_ingest_requests_total", "Requests that bring usage, by answer.", ["path", "status"]
)
ELEMENTS = Counter(
    "tollgate_ingest_elements_total",
    "Elements acknowledged to clients, by what validation said: accepted or the reason code.",
    ["outcome"],
)
IN_FLIGHT_BYTES = Gauge(
    "tollgate_ingest_in_flight_bytes", "Bytes of request bodies that are being worked on."
)
APPEND_SECONDS = Histogram(
    "tollgate_ingest_append_seconds",
    "Seconds until the log acknowledged the envelopes of a request.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
DEDUPED = Counter(
    "tollgate_ingest_deduped_total",
    "Elements that the deduper decided on in this process: counted, duplicate or parked.",
    ["outcome"],
)
ACCOUNTING = Gauge(
    "tollgate_ingest_accounting",
    "Elements over all time: received = counted + duplicates + parked + pending.",
    ["state"],
)
GAPS = Gauge("tollgate_ingest_node_gaps", "Open gaps in the sequences of nodes.")
