"""The topics, as `tollgate topics apply` creates them.

A topic's partition count is a power of two that divides 256: a key has a fixed shard (0 to 255),
and a partition is a shard modulo the count, so partitions can be doubled (drained first) without
a key changing its shard.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

SHARDS: Final = 256
DEFAULT_PARTITIONS: Final = 4
COMPACTION_LAG_HOURS: Final = 7 * 24
"""Records of a compacted topic are all kept this long, as those of the others are: a reader that
is not further behind sees every record, and every order between data and watermarks."""


@dataclass(frozen=True)
class Topic:
    """A topic and how it is kept.

    `compacted`: the last record of a key is kept for ever; offsets have holes, which a reader
    expects. Otherwise records are kept `retention_hours` and offsets are contiguous.
    """

    name: str
    key: str
    """What the record key is, in words."""
    compacted: bool
    retention_hours: int | None = None

    def config(self) -> dict[str, str]:
        """Topic settings of Kafka. Time is the broker's: a late event must not age the log."""
        base = {"message.timestamp.type": "LogAppendTime"}
        if self.compacted:
            lag_ms = COMPACTION_LAG_HOURS * 3_600_000
            return base | {"cleanup.policy": "compact", "min.compaction.lag.ms": str(lag_ms)}
        hours = self.retention_hours or 168
        return base | {"cleanup.policy": "delete", "retention.ms": str(hours * 3_600_000)}


RECEIVED: Final = Topic("usage.received", "source, or node", False, 7 * 24)
EVENTS: Final = Topic("usage.events", "tenant and source", False, 7 * 24)
ROLLUPS: Final = Topic("usage.rollups", "row; partitioned by tenant", True)
METERS: Final = Topic("catalog.meters", "meter slug", True)
TENANTS: Final = Topic("catalog.tenants", "tenant", True)
CHARGES: Final = Topic("billing.charges", "charge id; partitioned by tenant", True)
INVOICES: Final = Topic("billing.invoices", "tenant", False, 90 * 24)
DECISIONS: Final = Topic("throttle.decisions", "tenant and action", True)

ALL_TOPICS: Final = (RECEIVED, EVENTS, ROLLUPS, METERS, TENANTS, CHARGES, INVOICES, DECISIONS)


def shard_of(key: str | bytes) -> int:
    """The shard (0 to 255) that `key` has for ever."""
    data = key.encode() if isinstance(key, str) else key
    return blake2b(data, digest_size=1).digest()[0]


@lru_cache(maxsize=16_384)
def partition_for(key: str | bytes, partitions: int) -> int:
    """The partition of `key` in a topic of `partitions` partitions."""
    if partitions < 1 or SHARDS % partitions:
        raise ValueError(f"{partitions} partitions: must be a power of two up to {SHARDS}")
    return shard_of(key) % partitions
