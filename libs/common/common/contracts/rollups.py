"""usage.rollups: absolute usage of one series in one hour and shard.

A record holds the whole hour's value and the values of those of its slots that changed since the
last emission; a slot is ten seconds, the finest bucket there is, so that periods can be cut within
the hour. All values are absolute, so reading a record twice changes nothing, and `version` (the
offset in usage.events up to which the row has folded) decides which of two is newer. `members`
are the distinct values of a unique_count meter, hashed; they are the new ones only, and a
receiver takes the union.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from common.bus.types import Record
from common.contracts import wire
from common.contracts.topics import partition_for


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a set of events; exact. Fields a meter does not need stay None.

    `latest` is the value of the event with the greatest (`latest_at`, value).
    """

    count: int = 0
    sum: Decimal | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    latest: Decimal | None = None
    latest_at: datetime | None = None


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One slot of the hour. `members`: new members since the last emission (see above)."""

    start: datetime
    value: Aggregate
    members: list[str] = []


class Rollup(wire.Contract, frozen=True, kw_only=True):
    """A row of usage.rollups. `hour` is the UTC start of the hour; `shard` the single writer."""

    tenant: str
    meter: str
    aggregation: str
    unit: str
    group: dict[str, str]
    hour: datetime
    shard: int
    version: int
    value: Aggregate
    slots: list[Slot] = []


def group_key(group: dict[str, str]) -> str:
    """The canonical text of a group: JSON with sorted names; "" for no group."""
    return msgspec.json.encode(group, order="sorted").decode() if group else ""


def group_of(key: str) -> dict[str, str]:
    """The group whose `group_key` it is."""
    return msgspec.json.decode(key, type=dict[str, str]) if key else {}


def rollup_record(rollup: Rollup, partitions: int) -> tuple[int, Record]:
    """The partition (by tenant) and the record of a rollup.

    A record with members gets a key of its own, because compaction would drop earlier members.
    """
    parts = [rollup.tenant, rollup.meter, group_key(rollup.group), rollup.hour, rollup.shard]
    if any(slot.members for slot in rollup.slots):
        parts.append(rollup.version)
    key = msgspec.json.encode(parts).decode()
    return partition_for(rollup.tenant, partitions), wire.record(key, rollup)
