"""Rollups into the tables of usage: one COPY into a temporary table, then one upsert a table.

A row is taken over where its version is higher than the one that is there. Rows go in key order,
so that two writers of a table never wait for each other in a circle.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from common.contracts.rollups import Aggregate, Rollup, group_key
from common.usage_days import day_of, fold

_HOURS: Final = 0
_SLOTS: Final = 1
_WHOLE: Final = Decimal(2**63)

Key = tuple[str, str, str, int, datetime]
"""(tenant, meter, group key, shard, start of the hour or slot)"""
Row = tuple[Aggregate, int, str]
"""(value, version, aggregation)"""


async def write(tx: Any, schema: str, rollups: Sequence[Rollup], *, days: bool) -> None:
    """Write `rollups` (any order, repeats allowed) to the tables of `usage_tables` in `schema`,
    once a transaction. `days`: also to that of `usage_days.day_table`."""
    hours: dict[Key, Row] = {}
    slots: dict[Key, Row] = {}
    members: set[tuple[str, str, datetime, str, str]] = set()
    for rollup in rollups:
        group = group_key(rollup.group)
        place = (rollup.tenant, rollup.meter, group, rollup.shard)
        _keep(hours, (*place, rollup.hour), rollup.value, rollup)
        for slot in rollup.slots:
            _keep(slots, (*place, slot.start), slot.value, rollup)
            for member in slot.members:
                members.add((rollup.tenant, rollup.meter, slot.start, group, member))
    if hours:
        await _stage(tx, hours, slots)
        await _write_hours(tx, schema, days)
        await tx.execute(_upsert(schema, "slot", _SLOTS))
    if members:
        await tx.execute(
            f"""
            INSERT INTO {schema}.usage_members (tenant, meter, slot, group_key, member)
            SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[])
            ON CONFLICT DO NOTHING
            """,
            *zip(*sorted(members), strict=True),
        )


def _keep(rows: dict[Key, Row], key: Key, value: Aggregate, rollup: Rollup) -> None:
    known = rows.get(key)
    if known is None or known[1] < rollup.version:
        rows[key] = (value, rollup.version, rollup.aggregation)


async def _stage(tx: Any, hours: Mapping[Key, Row], slots: Mapping[Key, Row]) -> None:
    await tx.execute(
        """
        CREATE TEMPORARY TABLE IF NOT EXISTS staged_usage (
            grain smallint, tenant text, meter text, bucket timestamptz, group_key text,
            shard integer, aggregation text, count bigint, whole bigint, sum numeric,
            min numeric, max numeric, latest numeric, latest_at timestamptz, version bigint
        ) ON COMMIT DELETE ROWS
        """
    )
    await tx.copy_records_to_table(
        "staged_usage",
        records=[*_records(_HOURS, hours), *_records(_SLOTS, slots)],
        schema_name="pg_temp",
    )


def _records(grain: int, rows: Mapping[Key, Row]) -> Iterator[tuple[Any, ...]]:
    """A sum that is an integer goes as `whole`, which costs a tenth of a numeric."""
    for key in sorted(rows):
        tenant, meter, group, shard, start = key
        value, version, aggregation = rows[key]
        total = value.sum
        whole = None
        if total is not None and -_WHOLE < total < _WHOLE and total == (integer := int(total)):
            whole, total = integer, None
        yield (
            *(grain, tenant, meter, start, group, shard, aggregation, value.count, whole, total),
            *(value.min, value.max, value.latest, value.latest_at, version),
        )


async def _write_hours(tx: Any, schema: str, days: bool) -> None:
    statement = _upsert(schema, "hour", _HOURS)
    if not days:
        await tx.execute(statement)
        return
    rows = await tx.fetch(
        f"""
        WITH written AS (
            {statement}
            RETURNING tenant, meter, group_key, shard, hour, folded, known.xmax = 0 AS is_new)
        SELECT tenant, meter, group_key, shard, hour, folded
        FROM written
        WHERE is_new OR folded
        """
    )
    await fold(
        tx,
        schema,
        begun=[(row["tenant"], row["meter"], row["hour"]) for row in rows if not row["folded"]],
        changed=[
            (row["tenant"], row["meter"], row["group_key"], row["shard"], day_of(row["hour"]))
            for row in rows
            if row["folded"]
        ],
    )


def _upsert(schema: str, bucket: str, grain: int) -> str:
    return f"""
        INSERT INTO {schema}.usage_{bucket}s AS known
            (tenant, meter, {bucket}, group_key, shard, aggregation,
             count, sum, min, max, latest, latest_at, version)
        SELECT tenant, meter, bucket, group_key, shard, aggregation,
               count, coalesce(sum, whole), min, max, latest, latest_at, version
        FROM pg_temp.staged_usage
        WHERE grain = {grain}
        ON CONFLICT (tenant, meter, {bucket}, group_key, shard) DO UPDATE
        SET count = excluded.count,
            sum = excluded.sum,
            min = excluded.min,
            max = excluded.max,
            latest = excluded.latest,
            latest_at = excluded.latest_at,
            version = excluded.version
        WHERE excluded.version > known.version
        """
