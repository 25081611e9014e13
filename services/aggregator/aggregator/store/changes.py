"""Rows that changed since they were last published: the rollup tables are their own outbox."""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg

from common.contracts.rollups import Aggregate, Rollup, Slot

PAGE_ROWS: Final = 2_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_HOUR: Final = timedelta(hours=1)
Place = tuple[int, datetime]
"""(series, hour)"""


async def changed_rollups(
    connection: Any, shard: int, after_version: int
) -> AsyncIterator[list[Rollup]]:
    """The rollups of `shard` with a version above `after_version`, in pages, each with those of
    its slots and members that are above it too.

    The caller owns the shard, so nothing changes meanwhile.
    """
    version, series, bucket = after_version + 1, -1, _EPOCH
    while True:
        rows = await connection.fetch(
            """
            SELECT h.series, h.bucket, h.count, h.sum, h.min, h.max, h.latest, h.latest_at,
                   h.version, s.tenant, s.dimensions, m.slug, m.aggregation, m.unit
            FROM aggregator.hours h
            JOIN aggregator.series s ON s.id = h.series
            JOIN aggregator.meters m ON m.slug = s.meter
            WHERE h.shard = $1
              AND h.version >= $2
              AND (h.version, h.series, h.bucket) > ($2, $3, $4)
            ORDER BY h.version, h.series, h.bucket
            LIMIT $5
            """,
            shard,
            version,
            series,
            bucket,
            PAGE_ROWS,
        )
        if not rows:
            return
        places = [(row["series"], row["bucket"]) for row in rows]
        slots = await _changed_slots(connection, shard, after_version, places)
        yield [_rollup(row, shard, slots) for row in rows]
        if len(rows) < PAGE_ROWS:
            return
        version, series, bucket = rows[-1]["version"], rows[-1]["series"], rows[-1]["bucket"]


async def _changed_slots(
    connection: Any, shard: int, after_version: int, places: list[Place]
) -> dict[Place, list[Slot]]:
    arguments = (
        [series for series, _ in places],
        [hour for _, hour in places],
        shard,
        after_version,
        # Bounds of the whole page let the planner leave out chunks.
        min(hour for _, hour in places),
        max(hour for _, hour in places) + _HOUR,
    )
    members: dict[Place, list[str]] = defaultdict(list)
    for row in await connection.fetch(_CHANGED_MEMBERS, *arguments):
        members[row["series"], row["bucket"]].append(row["member"])
    slots: dict[Place, list[Slot]] = defaultdict(list)
    for row in await connection.fetch(_CHANGED_SLOTS, *arguments):
        slot = Slot(
            start=row["bucket"],
            value=_aggregate(row),
            members=sorted(members.get((row["series"], row["bucket"]), ())),
        )
        slots[row["series"], row["hour"]].append(slot)
    return slots


def _changed(table: str, columns: str) -> str:
    return f"""
        SELECT r.series, r.bucket, {columns}
        FROM unnest($1::bigint[], $2::timestamptz[]) AS h (series, hour)
        JOIN aggregator.{table} r
          ON r.series = h.series
         AND r.bucket >= h.hour
         AND r.bucket < h.hour + interval '1 hour'
        WHERE r.shard = $3
          AND r.version > $4
          AND r.bucket >= $5
          AND r.bucket < $6
        ORDER BY r.bucket
        """


_CHANGED_MEMBERS: Final = _changed("members", "encode(r.member, 'hex') AS member")
_CHANGED_SLOTS: Final = _changed(
    "slots", "h.hour, r.count, r.sum, r.min, r.max, r.latest, r.latest_at"
)


def _rollup(row: asyncpg.Record, shard: int, slots: dict[Place, list[Slot]]) -> Rollup:
    return Rollup(
        tenant=row["tenant"],
        meter=row["slug"],
        aggregation=row["aggregation"],
        unit=row["unit"],
        group=row["dimensions"],
        hour=row["bucket"],
        shard=shard,
        version=row["version"],
        value=_aggregate(row),
        slots=slots.get((row["series"], row["bucket"]), []),
    )


def _aggregate(row: asyncpg.Record) -> Aggregate:
    return Aggregate(
        count=row["count"],
        sum=row["sum"],
        min=row["min"],
        max=row["max"],
        latest=row["latest"],
        latest_at=row["latest_at"],
    )
