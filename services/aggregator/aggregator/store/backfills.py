"""Where each meter begins in each shard, and how far its backfill has come."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aggregator.store import meters as meter_store
from common.contracts.meters import Meter


class Backfill(NamedTuple):
    """Fold [`position`, `from_offset`) of `shard` into `meters`. `seen`: the highest origin
    offset folded, by origin partition."""

    id: int
    shard: int
    from_offset: int
    position: int
    seen: dict[int, int]
    meters: list[Meter]


async def begin(tx: Any, shard: int, slugs: Sequence[str], from_offset: int) -> bool:
    """Note that those of `slugs` that are new to `shard` are folded live from `from_offset`, and
    open one backfill for them all. Returns whether there were any.

    Only the owner of the shard calls this, inside its step, so nobody does it twice.
    """
    fresh = await tx.fetch(
        """
        SELECT slug
        FROM unnest($1::text[]) AS wanted (slug)
        WHERE NOT EXISTS (
            SELECT FROM aggregator.meter_starts s WHERE s.meter = wanted.slug AND s.shard = $2
        )
        """,
        slugs,
        shard,
    )
    if not fresh:
        return False
    backfill = await tx.fetchval(
        "INSERT INTO aggregator.backfills (shard, from_offset) VALUES ($1, $2) RETURNING id",
        shard,
        from_offset,
    )
    await tx.execute(
        """
        INSERT INTO aggregator.meter_starts (meter, shard, from_offset, backfill)
        SELECT slug, $2, $3, $4
        FROM unnest($1::text[]) AS started (slug)
        """,
        [row["slug"] for row in fresh],
        shard,
        from_offset,
        backfill,
    )
    return True


async def open_backfill(connection: Any, shard: int) -> Backfill | None:
    """The oldest backfill of `shard` that is not done."""
    row = await connection.fetchrow(
        """
        SELECT id, shard, from_offset, position, seen
        FROM aggregator.backfills
        WHERE shard = $1 AND NOT done
        ORDER BY id
        LIMIT 1
        """,
        shard,
    )
    if row is None:
        return None
    started = await connection.fetch(
        "SELECT meter FROM aggregator.meter_starts WHERE backfill = $1", row["id"]
    )
    slugs = {meter["meter"] for meter in started}
    return Backfill(
        id=row["id"],
        shard=shard,
        from_offset=row["from_offset"],
        position=row["position"],
        seen={int(origin): offset for origin, offset in row["seen"].items()},
        meters=[meter for meter in await meter_store.meters(connection) if meter.slug in slugs],
    )


async def move(
    tx: Any, backfill: Backfill, position: int, seen: Mapping[int, int], done: bool
) -> bool:
    """Compare-and-set of the position; False when it is not where `backfill` says."""
    status = await tx.execute(
        """
        UPDATE aggregator.backfills
        SET position = $3, seen = $4, done = $5
        WHERE id = $1 AND position = $2 AND NOT done
        """,
        backfill.id,
        backfill.position,
        position,
        dict(seen),
        done,
    )
    return bool(status == "UPDATE 1")


async def left(connection: Any, slug: str) -> tuple[int, int]:
    """(shards that know the meter, records its backfills have still to read)."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS shards,
               coalesce(sum(b.from_offset - b.position) FILTER (WHERE NOT b.done), 0)::bigint
                   AS records
        FROM aggregator.meter_starts s
        JOIN aggregator.backfills b ON b.id = s.backfill
        WHERE s.meter = $1
        """,
        slug,
    )
    return row["shards"], row["records"]
