"""`ingest.store.dead_events`: {id: row}, with a row as its API lists it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ingest.dedupe import DeadEvent

TABLE = "ingest.dead_events"
_ORIGINS = "ingest.dead_events.origin"


async def park(tx: Any, partition: int, dead: Sequence[DeadEvent]) -> None:
    await tx.statement("dead events: park")
    for one in dead:
        origin = (partition, one.offset, one.place)
        if tx.read(_ORIGINS, origin) is not None:
            raise ValueError(f"an element was parked twice: {origin}")
        dead_id = tx.next_value(TABLE)
        row = msgspec.structs.asdict(one)
        received_at = datetime.fromtimestamp(row.pop("received_at_ms") / 1000, UTC)
        row |= {
            "id": dead_id,
            "state": "open",
            "origin_partition": partition,
            "origin_offset": row.pop("offset"),
            "received_at": received_at,
            "changed_at": received_at,
        }
        tx.write(_ORIGINS, origin, dead_id)
        tx.write(TABLE, dead_id, row)


async def lock_replaying(tx: Any, ids: Sequence[int]) -> set[int]:
    await tx.statement("dead events: lock replaying")
    found = set()
    for dead_id in sorted(ids):
        await tx.lock(TABLE, dead_id)
        row = tx.read(TABLE, dead_id)
        if row is not None and row["state"] == "replaying":
            found.add(dead_id)
    return found


async def close_replays(tx: Any, outcomes: Mapping[int, str]) -> None:
    await tx.statement("dead events: close replays")
    for dead_id, outcome in sorted(outcomes.items()):
        await tx.lock(TABLE, dead_id)
        change = {"state": outcome}
        if outcome == "conflict":
            change = {"state": "open", "code": "identity_conflict"}
        tx.write(TABLE, dead_id, tx.read(TABLE, dead_id) | change)


async def move(connection: Any, dead_id: int, to: str, *, allowed: Sequence[str]) -> bool:
    async with connection.transaction() as tx:
        await tx.lock(TABLE, dead_id)
        row = tx.read(TABLE, dead_id)
        if row is None or row["state"] not in allowed:
            return False
        tx.write(TABLE, dead_id, row | {"state": to})
    return True


async def get(connection: Any, dead_id: int) -> Any:
    await connection.statement("dead events: get")
    return connection.read(TABLE, dead_id)
