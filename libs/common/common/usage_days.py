"""Sums of usage by UTC day, beside the hours that they are made from.

A month of hours is 720 rows a meter, and rating adds it up for every subscription whose usage
changes. The hours of a tenant's meter enter their days when it has begun a later one; after that a
day is made again in the transaction that changes one of its hours. Until then an hour is marked as
not folded, and a period that reads whole days reads it beside them. So each hour is in one of the
two, in every commit, and a step writes a day only where an hour has ended or is late.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from common.aggregates_sql import ADDED, TOTALS, VALUES

DAY: Final = timedelta(days=1)

Begun = tuple[str, str, datetime]
"""(tenant, meter, hour)"""
DayKey = tuple[str, str, str, int, datetime]
"""(tenant, meter, group key, shard, UTC day)"""


def day_table(schema: str) -> str:
    """SQL of the table, filled from the hours that are there, for a service's migration."""
    return f"""
    CREATE TABLE {schema}.usage_days (
        tenant       text        NOT NULL,
        meter        text        NOT NULL,
        day          timestamptz NOT NULL,
        group_key    text        NOT NULL,
        shard        integer     NOT NULL,
        aggregation  text        NOT NULL,
        hours        bigint      NOT NULL,
        version      bigint      NOT NULL,
        count        bigint      NOT NULL,
        sum          numeric,
        min          numeric,
        max          numeric,
        latest       numeric,
        latest_at    timestamptz,
        PRIMARY KEY (tenant, meter, day, group_key, shard)
    ) WITH (fillfactor = 70);
    COMMENT ON COLUMN {schema}.usage_days.hours IS 'rows of usage_hours that it was made from';

    INSERT INTO {schema}.usage_days
        (tenant, meter, day, group_key, shard, aggregation, hours, version, count, sum, min, max,
         latest, latest_at)
    SELECT tenant, meter, date_trunc('day', hour, 'UTC'), group_key, shard, aggregation,
           count(*), max(version), {TOTALS}
    FROM {schema}.usage_hours
    GROUP BY 1, 2, 3, 4, 5, 6;
    """


def folding(schema: str) -> str:
    """SQL that lets hours enter their days later, for a service's migration after `day_table`.

    A column changes its name, so that a process from before, which would write and read days that
    hold all hours, fails instead.
    """
    return f"""
    ALTER TABLE {schema}.usage_hours ADD COLUMN folded boolean NOT NULL DEFAULT true;
    ALTER TABLE {schema}.usage_hours ALTER COLUMN folded SET DEFAULT false;
    COMMENT ON COLUMN {schema}.usage_hours.folded IS 'whether its row in usage_days holds it';
    CREATE INDEX usage_hours_not_folded
        ON {schema}.usage_hours (tenant, meter, hour) WHERE NOT folded;
    ALTER TABLE {schema}.usage_days RENAME COLUMN hours TO folded_hours;
    """


def day_of(hour: datetime) -> datetime:
    """The UTC day that an hour lies in."""
    return hour.replace(hour=0, minute=0, second=0, microsecond=0)


def whole_days(first_hour: datetime, last_hour: datetime) -> tuple[datetime, datetime]:
    """The whole days inside [first_hour, last_hour); without one, both are `last_hour`, so that
    the hours before them are all there are."""
    first = day_of(first_hour)
    if first < first_hour:
        first += DAY
    last = day_of(last_hour)
    return (first, last) if first < last else (last_hour, last_hour)


async def fold(tx: Any, schema: str, *, begun: Iterable[Begun], changed: Iterable[DayKey]) -> None:
    """Bring the days up to their hours. `begun`: hours that are new, so those before them enter
    their days. `changed`: days of which hours that they hold have changed."""
    newest: dict[tuple[str, str], datetime] = {}
    for tenant, meter, hour in begun:
        newest[tenant, meter] = max(hour, newest.get((tenant, meter), hour))
    if newest:
        await _fold_ended(tx, schema, [(*place, newest[place]) for place in sorted(newest)])
    days = sorted(set(changed))
    if days:
        await _make_again(tx, schema, days)


async def _fold_ended(tx: Any, schema: str, begun: Sequence[Begun]) -> None:
    await tx.execute(
        f"""
        WITH ended AS (
            UPDATE {schema}.usage_hours AS known
            SET folded = true
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS begun (tenant, meter, hour)
            WHERE known.tenant = begun.tenant
              AND known.meter = begun.meter
              AND known.hour < begun.hour
              AND NOT known.folded
            RETURNING known.*)
        INSERT INTO {schema}.usage_days AS known
            (tenant, meter, day, group_key, shard, aggregation, folded_hours, version, {VALUES})
        SELECT tenant, meter, date_trunc('day', hour, 'UTC') AS day, group_key, shard, aggregation,
               count(*), max(version), {TOTALS}
        FROM ended
        GROUP BY tenant, meter, day, group_key, shard, aggregation
        ORDER BY tenant, meter, day, group_key, shard
        ON CONFLICT (tenant, meter, day, group_key, shard) DO UPDATE
        SET folded_hours = known.folded_hours + excluded.folded_hours,
            version = greatest(known.version, excluded.version), {ADDED}
        """,
        *zip(*begun, strict=True),
    )


async def _make_again(tx: Any, schema: str, days: Sequence[DayKey]) -> None:
    """From the hours that the days hold; each is looked up by its whole key, because a day of a
    tenant's meter has the hours of all its groups."""
    await tx.execute(
        f"""
        UPDATE {schema}.usage_days AS known
        SET folded_hours = made.hours,
            version = made.version,
            count = made.count,
            sum = made.sum,
            min = made.min,
            max = made.max,
            latest = made.latest,
            latest_at = made.latest_at
        FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
                 AS touched (tenant, meter, group_key, shard, day)
        CROSS JOIN LATERAL (
            SELECT count(*) AS hours, max(version) AS version, {TOTALS}
            FROM {schema}.usage_hours
            WHERE tenant = touched.tenant
              AND meter = touched.meter
              AND hour = ANY (ARRAY(
                      SELECT touched.day + number * interval '1 hour'
                      FROM generate_series(0, 23) AS number))
              AND group_key = touched.group_key
              AND shard = touched.shard
              AND folded) AS made
        WHERE known.tenant = touched.tenant
          AND known.meter = touched.meter
          AND known.day = touched.day
          AND known.group_key = touched.group_key
          AND known.shard = touched.shard
        """,
        *zip(*days, strict=True),
    )
