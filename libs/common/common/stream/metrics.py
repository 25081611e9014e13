"""Metrics of the kernel."""

import asyncio
import contextlib

from prometheus_client import Counter, Gauge, Histogram

from common.stream.position import Position

RECORDS = Counter(
    "tollgate_stage_records_total", "Records read by a stage, control records included.", ["topic"]
)
REPEATED = Counter(
    "tollgate_stage_repeated_total",
    "Records dropped because their origin had been seen: emitted again after a takeover.",
    ["topic"],
)
FENCED = Counter(
    "tollgate_stage_fenced_total",
    "Steps refused because another worker owns the partition.",
    ["topic"],
)
GAPS = Counter(
    "tollgate_stage_gaps_total",
    "Stops because offsets were missing. Any is an emergency.",
    ["topic"],
)
STEP_SECONDS = Histogram(
    "tollgate_stage_step_seconds",
    "Duration of a step, transaction and emission, in seconds.",
    ["topic"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
NEXT_OFFSET = Gauge(
    "tollgate_stage_next_offset", "Offset that the stage reads next.", ["topic", "partition"]
)
LAG = Gauge(
    "tollgate_stage_lag_records",
    "Records between the position and the end of the log, every few seconds.",
    ["topic", "partition"],
)
WATERMARK = Gauge(
    "tollgate_stage_watermark_seconds",
    "Unix time before which everything received has passed the stage.",
    ["topic", "partition"],
)


def forget(position: Position) -> None:
    """The partition is no longer processed here: its gauges would only grow old."""
    for gauge in (NEXT_OFFSET, WATERMARK):
        with contextlib.suppress(KeyError):
            gauge.remove(position.topic, str(position.partition))


def observe_step(position: Position, records: int, repeated: int, began: float) -> None:
    """Count a finished step that began at `began` (the event loop's clock)."""
    RECORDS.labels(position.topic).inc(records)
    REPEATED.labels(position.topic).inc(repeated)
    STEP_SECONDS.labels(position.topic).observe(asyncio.get_running_loop().time() - began)
    partition = str(position.partition)
    NEXT_OFFSET.labels(position.topic, partition).set(position.next_offset)
    if position.watermark_ms is not None:
        WATERMARK.labels(position.topic, partition).set(position.watermark_ms / 1000)
