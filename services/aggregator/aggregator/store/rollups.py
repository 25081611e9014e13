"""Writing rollups: one COPY into a temporary table, then one upsert a table, in key order.

A row has one writer, the owner of its shard, and only grows: what a step folded is added to it.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec

from aggregator.cells import Cell, instant
from aggregator.compile import CompiledMeter
from aggregator.fold import DAY_MS, HOUR_MS, Series, SeriesKey, roll_up

TABLES: Final = ("slots", "hours", "days")

_VALUES = "count, sum, min, max, latest, latest_at"


async def prepare(connection: Any) -> None:
    """The temporary tables of a connection that writes rollups; they are emptied by each commit."""
    await connection.execute(
        """
        CREATE TEMPORARY TABLE IF NOT EXISTS staged (
            grain smallint, series bigint, bucket timestamptz, count bigint, sum numeric,
            min numeric, max numeric, latest numeric, latest_at timestamptz
        ) ON COMMIT DELETE ROWS;
        CREATE TEMPORARY TABLE IF NOT EXISTS staged_members (
            series bigint, bucket timestamptz, member bytea
        ) ON COMMIT DELETE ROWS;
        """
    )


async def shard_versions(connection: Any, shard: int) -> tuple[int, int]:
    """(version of the last change of `shard`, version up to which it has been published)."""
    row = await connection.fetchrow(
        """
        INSERT INTO aggregator.shards (shard, version, emitted_version)
        VALUES ($1, 0, 0)
        ON CONFLICT (shard) DO UPDATE SET shard = excluded.shard
        RETURNING version, emitted_version
        """,
        shard,
    )
    return row["version"], row["emitted_version"]


async def set_shard_versions(tx: Any, shard: int, version: int, emitted_version: int) -> None:
    """Move the versions of `shard`; only its owner does, inside a step."""
    await tx.execute(
        "UPDATE aggregator.shards SET version = $2, emitted_version = $3 WHERE shard = $1",
        shard,
        version,
        emitted_version,
    )


async def series_ids(
    tx: Any, keys: Iterable[SeriesKey], meters: dict[str, CompiledMeter]
) -> dict[SeriesKey, int]:
    """The ids of series; new ones are made, in the order of their identity, so that two shards
    which meet the same new series wait for each other in one direction only."""
    wanted = {identity(key): key for key in keys}
    if not wanted:
        return {}
    identities = sorted(wanted)
    found = await _known_series(tx, identities)
    missing = [one for one in identities if one not in found]
    if missing:
        places = [wanted[one] for one in missing]
        await tx.execute(
            """
            INSERT INTO aggregator.series (identity, meter, tenant, dimensions)
            SELECT identity, meter, tenant, dimensions
            FROM unnest($1::bytea[], $2::text[], $3::text[], $4::jsonb[])
                AS fresh (identity, meter, tenant, dimensions)
            ORDER BY identity
            ON CONFLICT (identity) DO NOTHING
            """,
            missing,
            [key.meter for key in places],
            [key.tenant for key in places],
            [dict(zip(meters[key.meter].names, key.group, strict=True)) for key in places],
        )
        found |= await _known_series(tx, missing)
    return {wanted[one]: id_ for one, id_ in found.items()}


def identity(key: SeriesKey) -> bytes:
    """What tells series apart, in 16 bytes."""
    return blake2b(msgspec.json.encode(key), digest_size=16).digest()


async def write(
    tx: Any, *, shard: int, version: int, series: Series, ids: dict[SeriesKey, int]
) -> dict[str, int]:
    """Add what was folded to the rows of `shard`, stamping them with `version`. Returns how many
    rows of each table were written."""
    staged = sorted(_staged(series, ids), key=lambda row: row[:3])
    await tx.copy_records_to_table("staged", records=staged, schema_name="pg_temp")
    written = {}
    for grain, table in enumerate(TABLES):
        status = await tx.execute(_UPSERTS[table], grain, shard, version)
        written[table] = int(status.rsplit(" ", 1)[-1])
    members = sorted(_members(series, ids))
    if members:
        await tx.copy_records_to_table("staged_members", records=members, schema_name="pg_temp")
        await tx.execute(
            """
            INSERT INTO aggregator.members (series, bucket, shard, member, version)
            SELECT series, bucket, $1, member, $2
            FROM staged_members
            ORDER BY series, bucket, member
            ON CONFLICT (series, bucket, shard, member) DO NOTHING
            """,
            shard,
            version,
        )
    return written


def _upsert(table: str) -> str:
    return f"""
        INSERT INTO aggregator.{table} AS known (series, bucket, shard, {_VALUES}, version)
        SELECT series, bucket, $2, {_VALUES}, $3
        FROM staged
        WHERE grain = $1
        ORDER BY series, bucket
        ON CONFLICT (series, bucket, shard) DO UPDATE
        SET count = known.count + excluded.count,
            sum = coalesce(known.sum + excluded.sum, known.sum, excluded.sum),
            min = least(known.min, excluded.min),
            max = greatest(known.max, excluded.max),
            latest = CASE
                WHEN known.latest_at IS NULL
                  OR (excluded.latest_at, excluded.latest) > (known.latest_at, known.latest)
                THEN excluded.latest
                ELSE known.latest
            END,
            latest_at = greatest(known.latest_at, excluded.latest_at),
            version = excluded.version
        """


_UPSERTS: Final = {table: _upsert(table) for table in TABLES}


async def _known_series(tx: Any, identities: list[bytes]) -> dict[bytes, int]:
    rows = await tx.fetch(
        "SELECT identity, id FROM aggregator.series WHERE identity = ANY($1)", identities
    )
    return {row["identity"]: row["id"] for row in rows}


def _staged(series: Series, ids: dict[SeriesKey, int]) -> Iterator[tuple[Any, ...]]:
    for key, slots in series.items():
        grains = (slots, roll_up(slots, HOUR_MS), roll_up(slots, DAY_MS))
        for grain, cells in enumerate(grains):
            for start, cell in cells.items():
                yield (grain, ids[key], instant(start), *_values(cell))


def _values(cell: Cell) -> tuple[Any, ...]:
    value = cell.aggregate()
    return (value.count, value.sum, value.min, value.max, value.latest, value.latest_at)


def _members(series: Series, ids: dict[SeriesKey, int]) -> Iterator[tuple[Any, ...]]:
    for key, slots in series.items():
        for start, cell in slots.items():
            for member in cell.members or ():
                yield (ids[key], instant(start), bytes.fromhex(member))
