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
LEDGER_BYTES = Gauge(
    "tollgate_ingest_ledger_memory_bytes",
    "What this process keeps of the packed ledger: fingerprints of the days in use, and blocks.",
)
LEDGER_DAYS = Gauge(
    "tollgate_ingest_ledger_memory_days",
    "Days of groups whose fingerprints this process keeps.",
)
LEDGER_BLOCKS = Gauge(
    "tollgate_ingest_ledger_memory_blocks", "Blocks that those fingerprints point to."
)
LEDGER_LOOKUPS = Counter(
    "tollgate_ingest_ledger_lookups_total",
    "Fingerprints that were found and looked up in their block: confirmed, or refuted because"
    " another identity has the same one.",
    ["outcome"],
)
LEDGER_COMPACTED = Counter(
    "tollgate_ingest_ledger_compacted_blocks_total",
    "Blocks of the packed ledger that others have replaced: merged because they were small, or"
    " sorted across their closed day.",
    ["how"],
)
