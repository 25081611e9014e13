"""Events that a meter could not read, listed at the meter until their retention ends."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import asyncpg

from aggregator.cells import instant
from aggregator.compile import CompiledMeter
from aggregator.fold import Unreadable
from aggregator.values import excerpt, lookup

_COLUMNS = (
    "meter",
    "tenant",
    "source",
    "event_id",
    "at",
    "reason",
    "found",
    "shard",
    "record",
    "item",
)


async def note(
    tx: Any, shard: int, items: Iterable[Unreadable], meters: dict[str, CompiledMeter]
) -> None:
    """List `items`, in the step that leaves them out."""
    await tx.copy_records_to_table(
        "unreadable",
        schema_name="aggregator",
        columns=_COLUMNS,
        records=[
            (
                item.meter,
                item.timed.event.subject,
                item.timed.event.source,
                item.timed.event.id,
                instant(item.timed.at_ms),
                item.reason.name,
                _found(item, meters[item.meter]),
                shard,
                item.timed.offset,
                item.timed.item,
            )
            for item in items
        ],
    )


async def listed(
    connection: Any, slug: str, before: int | None, limit: int
) -> list[asyncpg.Record]:
    """The newest unreadable events of a meter with an id below `before`, newest first."""
    rows: list[asyncpg.Record] = await connection.fetch(
        """
        SELECT id, tenant, source, event_id, at, reason, found, noted_at
        FROM aggregator.unreadable
        WHERE meter = $1
          AND ($2::bigint IS NULL OR id < $2)
        ORDER BY id DESC
        LIMIT $3
        """,
        slug,
        before,
        limit,
    )
    return rows


async def forget(connection: Any, before: datetime) -> None:
    """End the retention of everything noted before `before`."""
    await connection.execute("DELETE FROM aggregator.unreadable WHERE noted_at < $1", before)


async def forget_slots(connection: Any, before: datetime) -> None:
    """End the retention of slots and members before `before`; hours and days stay."""
    await connection.execute("SELECT aggregator.forget_slots($1)", before)


def _found(item: Unreadable, compiled: CompiledMeter) -> str:
    path = compiled.meter.value
    if path is None:
        return ""
    found = lookup(item.timed.event.data, tuple(path.split(".")))
    return "" if found is None else excerpt(found)
