"""Writing rollups: one COPY into a temporary table, then one upsert a table, in key order.

A row has one writer, the owner of its shard, and only grows: what a step folded is added to it.
An hour is added to its day once the next one has begun (`fold_days`); what comes later for it goes
to both at once. So each hour is either in its day's row or marked as not folded, in every commit.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from aggregator.cells import Cell, instant
from aggregator.compile import CompiledMeter
from aggregator.fold import HOUR_MS, Series, SeriesKey, roll_up
from common import db
from common.aggregates_sql import ADDED, TOTALS, VALUES
from common.contracts.rollups import Aggregate

TABLES: Final = ("slots", "hours")

_WHOLE: Final = 2**63


class Row(NamedTuple):
    """A row of a rollup table, as it is now."""

    series: int
    bucket: datetime
    value: Aggregate


class Written(NamedTuple):
    """What a step wrote: how many rows by table, and what its hours and slots now hold.
    `members`: those that are new, as (series, slot, member)."""

    rows: dict[str, int]
    hours: list[Row]
    slots: list[Row]
    members: list[tuple[int, datetime, str]]


async def prepare(connection: Any) -> None:
    """The temporary tables of a connection that writes rollups; they are emptied by each commit."""
    await connection.execute(
        """
        CREATE TEMPORARY TABLE IF NOT EXISTS staged (
            grain smallint, series bigint, bucket timestamptz, count bigint, whole bigint,
            sum numeric, min numeric, max numeric, latest numeric, latest_at timestamptz
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
    """Move the versions of `shard`; only its owner does, inside a step. What has been published
    is taken off the list of what has not."""
    await tx.execute(
        "DELETE FROM aggregator.unpublished WHERE shard = $1 AND version <= $2",
        shard,
        emitted_version,
    )
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
) -> Written:
    """Add what was folded to the rows of `shard`, stamping them with `version`."""
    grains = staged_rows(series, ids)
    for staged in grains:
        staged.sort(key=_place)
    await tx.copy_records_to_table(
        "staged", records=chain.from_iterable(grains), schema_name="pg_temp"
    )
    slots = [_row(one) for one in await tx.fetch(_UPSERT_SLOTS, shard, version)]
    answers = await tx.fetch(_UPSERT_HOURS, shard, version)
    hours = [_row(one) for one in answers]
    late = [(row.series, row.bucket) for row, one in zip(hours, answers, strict=True) if one[8]]
    days = 0
    if late:
        days = db.affected(await tx.execute(_ADD_LATE, shard, version, *zip(*late, strict=True)))
    await tx.execute(
        """
        INSERT INTO aggregator.unpublished (shard, version, series, hours)
        VALUES ($1, $2, $3, $4)
        """,
        shard,
        version,
        [row.series for row in hours],
        [row.bucket for row in hours],
    )
    rows = dict(zip(TABLES, map(len, grains), strict=True)) | {"days": days}
    return Written(rows, hours, slots, await _write_members(tx, shard, version, series, ids))


async def fold_days(
    tx: Any, *, shard: int, version: int, begun: Iterable[tuple[int, datetime]]
) -> int:
    """Add the hours of `shard` that are over to their days; how many days changed. `begun`:
    (series, hour): an hour of a series is over when a later one has begun."""
    return db.affected(await tx.execute(_FOLD_DAYS, shard, version, *zip(*begun, strict=True)))


async def _write_members(
    tx: Any, shard: int, version: int, series: Series, ids: dict[SeriesKey, int]
) -> list[tuple[int, datetime, str]]:
    members = sorted(_members(series, ids))
    if not members:
        return []
    await tx.copy_records_to_table("staged_members", records=members, schema_name="pg_temp")
    fresh = await tx.fetch(
        """
        INSERT INTO aggregator.members (series, bucket, shard, member, version)
        SELECT series, bucket, $1, member, $2
        FROM staged_members
        ORDER BY series, bucket, member
        ON CONFLICT (series, bucket, shard, member) DO NOTHING
        RETURNING series, bucket, encode(member, 'hex') AS member
        """,
        shard,
        version,
    )
    return [(row["series"], row["bucket"], row["member"]) for row in fresh]


def _row(row: asyncpg.Record) -> Row:
    series, bucket, count, total, least, greatest, latest, latest_at = row[:8]
    return Row(
        series,
        bucket,
        Aggregate(
            count=count,
            sum=total,
            min=least,
            max=greatest,
            latest=latest,
            latest_at=latest_at,
        ),
    )


def _upsert(grain: int, table: str) -> str:
    return f"""
        INSERT INTO aggregator.{table} AS known (series, bucket, shard, {VALUES}, version)
        SELECT series, bucket, $1, count, coalesce(sum, whole), min, max, latest, latest_at, $2
        FROM staged
        WHERE grain = {grain}
        ON CONFLICT (series, bucket, shard) DO UPDATE
        SET version = excluded.version, {ADDED}
        RETURNING series, bucket, {VALUES}
        """


def _add_to_days(hours: str) -> str:
    """`hours`: a FROM item of the hours to be added."""
    return f"""
        INSERT INTO aggregator.days AS known (series, bucket, shard, folded_version, {VALUES})
        SELECT series, date_trunc('day', bucket, 'UTC') AS day, $1, $2, {TOTALS}
        FROM {hours}
        GROUP BY series, day
        ORDER BY series, day
        ON CONFLICT (series, bucket, shard) DO UPDATE
        SET folded_version = excluded.folded_version, {ADDED}
        """


_UPSERT_SLOTS: Final = _upsert(0, "slots")
_UPSERT_HOURS: Final = _upsert(1, "hours") + ", folded"
_ADD_LATE: Final = _add_to_days(
    """(SELECT series, bucket, count, coalesce(sum, whole) AS sum, min, max, latest, latest_at
              FROM staged
              JOIN unnest($3::bigint[], $4::timestamptz[]) AS late (series, bucket)
             USING (series, bucket)
              WHERE grain = 1) AS hour"""
)
_FOLD_DAYS: Final = f"""
        WITH hour AS (
            UPDATE aggregator.hours AS known
            SET folded = true
            FROM unnest($3::bigint[], $4::timestamptz[]) AS begun (series, hour)
            WHERE known.series = begun.series
              AND known.bucket < begun.hour
              AND known.shard = $1
              AND NOT known.folded
            RETURNING known.series, known.bucket, known.count, known.sum, known.min, known.max,
                      known.latest, known.latest_at)
        {_add_to_days("hour")}
        """


async def _known_series(tx: Any, identities: list[bytes]) -> dict[bytes, int]:
    rows = await tx.fetch(
        "SELECT identity, id FROM aggregator.series WHERE identity = ANY($1)", identities
    )
    return {row["identity"]: row["id"] for row in rows}


def staged_rows(series: Series, ids: dict[SeriesKey, int]) -> list[list[tuple[Any, ...]]]:
    """The rows to stage for each of `TABLES`."""
    slot_rows: list[tuple[Any, ...]] = []
    hour_rows: list[tuple[Any, ...]] = []
    instants: dict[int, datetime] = {}

    def add(rows: list[tuple[Any, ...]], grain: int, id_: int, cells: dict[int, Cell]) -> None:
        for start, cell in cells.items():
            bucket = instants.get(start)
            if bucket is None:
                bucket = instants[start] = instant(start)
            rows.append((grain, id_, bucket, *_values(cell)))

    for key, slots in series.items():
        add(slot_rows, 0, ids[key], slots)
        add(hour_rows, 1, ids[key], roll_up(slots, HOUR_MS))
    return [slot_rows, hour_rows]


def _place(row: tuple[Any, ...]) -> tuple[int, datetime]:
    return row[1], row[2]


def _values(cell: Cell) -> tuple[Any, ...]:
    """(count, whole, sum, min, max, latest, latest_at): a sum that is an integer goes as `whole`,
    which costs a tenth of a numeric."""
    total = cell.sum
    is_whole = total.__class__ is int and -_WHOLE < total < _WHOLE
    if cell.min is None and cell.max is None and cell.latest is None:
        if is_whole:
            return (cell.count, total, None, None, None, None, None)
        return (cell.count, None, _decimal(total), None, None, None, None)
    return (
        cell.count,
        None,
        _decimal(total),
        _decimal(cell.min),
        _decimal(cell.max),
        _decimal(cell.latest),
        None if cell.latest_ms is None else instant(cell.latest_ms),
    )


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _members(series: Series, ids: dict[SeriesKey, int]) -> Iterator[tuple[Any, ...]]:
    for key, slots in series.items():
        for start, cell in slots.items():
            for member in cell.members or ():
                yield (ids[key], instant(start), bytes.fromhex(member))
