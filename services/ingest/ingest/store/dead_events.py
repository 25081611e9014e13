"""Dead events: what was received and not counted, with its reason."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ingest.dedupe import DeadEvent

_LISTED = """
    id, origin_partition, origin_offset, place, state, code, message, source, event_id,
    node, epoch, seq, truncated, received_at, changed_at
"""


async def park(tx: Any, partition: int, dead: Sequence[DeadEvent]) -> None:
    """Store elements of input `partition`."""
    await tx.copy_records_to_table(
        "dead_events",
        schema_name="ingest",
        columns=(
            "origin_partition",
            "origin_offset",
            "place",
            "code",
            "message",
            "source",
            "event_id",
            "identity",
            "node",
            "epoch",
            "seq",
            "raw",
            "truncated",
            "received_at",
        ),
        records=[
            (
                partition,
                d.offset,
                d.place,
                d.code,
                d.message,
                d.source,
                d.event_id,
                d.identity,
                d.node,
                d.epoch,
                d.seq,
                d.raw,
                d.truncated,
                datetime.fromtimestamp(d.received_at_ms / 1000, UTC),
            )
            for d in dead
        ],
    )


async def lock_replaying(tx: Any, ids: Sequence[int]) -> set[int]:
    """Those of `ids` that are still being replayed; locked until the transaction ends."""
    rows = await tx.fetch(
        """
        SELECT id
        FROM ingest.dead_events
        WHERE id = ANY ($1)
          AND state = 'replaying'
        ORDER BY id
        FOR UPDATE
        """,
        list(ids),
    )
    return {row["id"] for row in rows}


async def close_replays(tx: Any, outcomes: Mapping[int, str]) -> None:
    """Store what became of replays: replayed, duplicate, or conflict, which opens it again."""
    await tx.executemany(
        """
        UPDATE ingest.dead_events
        SET state = CASE WHEN $2 = 'conflict' THEN 'open' ELSE $2 END,
            code = CASE WHEN $2 = 'conflict' THEN 'identity_conflict' ELSE code END,
            changed_at = now()
        WHERE id = $1
        """,
        sorted(outcomes.items()),
    )


async def move(connection: Any, dead_id: int, to: str, *, allowed: Sequence[str]) -> bool:
    """Set the state of a dead event, if it is one of `allowed` now."""
    status: str = await connection.execute(
        """
        UPDATE ingest.dead_events
        SET state = $2, changed_at = now()
        WHERE id = $1
          AND state = ANY ($3)
        """,
        dead_id,
        to,
        list(allowed),
    )
    return status == "UPDATE 1"


async def get(connection: Any, dead_id: int) -> Any:
    """One dead event with its bytes, or None."""
    return await connection.fetchrow(
        f"SELECT {_LISTED}, raw FROM ingest.dead_events WHERE id = $1", dead_id
    )


async def by_identity(connection: Any, identity: bytes) -> list[Any]:
    """Dead events of one (source, id), newest first."""
    rows: list[Any] = await connection.fetch(
        f"""
        SELECT {_LISTED}
        FROM ingest.dead_events
        WHERE identity = $1
        ORDER BY id DESC
        LIMIT 100
        """,
        identity,
    )
    return rows


async def by_origin(connection: Any, partition: int, offset: int, place: int) -> Any:
    """The dead event made from one element, or None."""
    return await connection.fetchrow(
        f"""
        SELECT {_LISTED}
        FROM ingest.dead_events
        WHERE origin_partition = $1
          AND origin_offset = $2
          AND place = $3
        """,
        partition,
        offset,
        place,
    )


async def page(
    connection: Any,
    *,
    source: str | None,
    code: str | None,
    state: str | None,
    before: int | None,
    limit: int,
) -> list[Any]:
    """Dead events that match, newest first, from below the id `before`."""
    rows: list[Any] = await connection.fetch(
        f"""
        SELECT {_LISTED}
        FROM ingest.dead_events
        WHERE ($1::text IS NULL OR source = $1)
          AND ($2::text IS NULL OR code = $2)
          AND ($3::text IS NULL OR state = $3)
          AND ($4::bigint IS NULL OR id < $4)
        ORDER BY id DESC
        LIMIT $5
        """,
        source,
        code,
        state,
        before,
        limit,
    )
    return rows
