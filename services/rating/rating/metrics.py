"""Metrics of rating; those of the stream are in common.stream.metrics."""

from prometheus_client import Counter, Histogram

RATED = Counter("tollgate_rating_subscriptions_total", "Subscriptions rated (again).")
CHARGES = Counter(
    "tollgate_rating_charges_total",
    "Charges written and emitted because they were new or had changed.",
    ["kind"],
)
RATE_SECONDS = Histogram(
    "tollgate_rating_rate_seconds",
    "Duration of rating what had changed since the last time, in seconds.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
DEFERRED = Counter(
    "tollgate_rating_deferred_total",
    "Ratings that left subscriptions for the next one because there were too many.",
)
