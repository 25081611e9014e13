"""Meters: their definitions and the revision that tells workers to look again."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from common.bus.types import Record
from common.contracts.meters import Meter, meter_record
from common.stream.outbox import next_revision

REVISIONS = "meters"
"""Name of the counter in aggregator.revisions; it holds the revision of the newest change."""

_COLUMNS = "slug, event_type, aggregation, value, group_by, unit, revision"


async def meter(connection: Any, slug: str) -> Meter | None:
    """The meter `slug`."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM aggregator.meters WHERE slug = $1", slug
    )
    return None if row is None else _meter(row)


async def meters(connection: Any, after: str = "", limit: int | None = None) -> list[Meter]:
    """Meters by slug, after `after`."""
    rows = await connection.fetch(
        f'SELECT {_COLUMNS} FROM aggregator.meters WHERE slug COLLATE "C" > $1'
        ' ORDER BY slug COLLATE "C" LIMIT $2',
        after,
        limit,
    )
    return [_meter(row) for row in rows]


async def lock(tx: Any) -> int:
    """A new revision; whoever else changes meters waits until this transaction ends."""
    return await next_revision(tx, "aggregator", REVISIONS)


async def put(tx: Any, meter: Meter) -> None:
    """Write a meter under its revision."""
    await tx.execute(
        f"""
        INSERT INTO aggregator.meters ({_COLUMNS})
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (slug) DO UPDATE
        SET unit = excluded.unit,
            revision = excluded.revision
        """,
        meter.slug,
        meter.event_type,
        meter.aggregation,
        meter.value,
        meter.group_by,
        meter.unit,
        meter.revision,
    )


async def revision(connection: Any) -> int:
    """The revision of the newest change; 0 before the first."""
    found = await connection.fetchval(
        "SELECT value FROM aggregator.revisions WHERE name = $1", REVISIONS
    )
    return found or 0


async def fetch_changes(
    connection: Any, after: int, limit: int
) -> Sequence[tuple[int, str, Record]]:
    """What the outbox publishes: (revision, partition key, record), by revision."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM aggregator.meters WHERE revision > $1 ORDER BY revision LIMIT $2",
        after,
        limit,
    )
    return [(row["revision"], row["slug"], meter_record(_meter(row))) for row in rows]


def _meter(row: asyncpg.Record) -> Meter:
    return Meter(**dict(row))
