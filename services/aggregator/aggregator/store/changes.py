"""Rows that changed since they were last published: the rollup tables are their own outbox."""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from common.contracts.rollups import Aggregate, Rollup, Slot

PAGE_ROWS: Final = 2_000
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
    places = await _changed_places(connection, shard, after_version)
    for first in range(0, len(places), PAGE_ROWS):
        page = places[first : first + PAGE_ROWS]
        rows = await connection.fetch(
            """
            SELECT h.series, h.bucket, h.count, h.sum, h.min, h.max, h.latest, h.latest_at,
                   h.version, s.tenant, s.dimensions, m.slug, m.aggregation, m.unit
            FROM unnest($1::bigint[], $2::timestamptz[]) AS changed (series, hour)
            JOIN aggregator.hours h
              ON h.series = changed.series
             AND h.bucket = changed.hour
            JOIN aggregator.series s ON s.id = h.series
            JOIN aggregator.meters m ON m.slug = s.meter
            WHERE h.shard = $3
              AND h.bucket >= $4
              AND h.bucket <= $5
            """,
            [series for series, _ in page],
            [hour for _, hour in page],
            shard,
            # Bounds of the whole page let the planner leave out chunks.
            min(hour for _, hour in page),
            max(hour for _, hour in page),
        )
        slots = await _changed_slots(connection, shard, after_version, page)
        yield [_rollup(row, shard, slots) for row in rows]


async def _changed_places(connection: Any, shard: int, after_version: int) -> list[Place]:
    """The hours that changed after `after_version`, from the lists of the steps."""
    steps = await connection.fetch(
        """
        SELECT version, series, hours
        FROM aggregator.unpublished
        WHERE shard = $1
          AND version > $2
        """,
        shard,
        after_version,
    )
    changed = {place for step in steps for place in zip(step["series"], step["hours"], strict=True)}
    listed = max((step["version"] for step in steps), default=after_version)
    version = await connection.fetchval(
        "SELECT version FROM aggregator.shards WHERE shard = $1", shard
    )
    if version is not None and version > listed:
        # The last owner was of a release that kept no lists.
        changed |= {
            (row["series"], row["bucket"])
            for row in await connection.fetch(
                "SELECT series, bucket FROM aggregator.hours WHERE shard = $1 AND version > $2",
                shard,
                after_version,
            )
        }
    return sorted(changed)


async def _changed_slots(
    connection: Any, shard: int, after_version: int, places: list[Place]
) -> dict[Place, list[Slot]]:
    arguments = (
        [series for series, _ in places],
        [hour for _, hour in places],
        shard,
        after_version,
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
