"""Sums of usage by UTC day, beside the hours that they are made from.

A month of hours is 720 rows a meter, and rating adds it up for every subscription whose usage
changes. An hour enters its day when a later one of its series has begun; after that the day is made
again in the transaction that changes one of its hours. Until then the hour is marked as not folded,
and a period that reads whole days reads it beside them. So each hour is in one of the two, in every
commit, and a step writes a day only where an hour has ended or is late.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

DAY: Final = timedelta(days=1)

TOTALS: Final = """
    sum(count)::bigint AS count,
    sum(sum) AS sum,
    min(min) AS min,
    max(max) AS max,
    (array_agg(latest ORDER BY latest_at DESC, latest DESC)
        FILTER (WHERE latest IS NOT NULL))[1] AS latest,
    max(latest_at) FILTER (WHERE latest IS NOT NULL) AS latest_at"""
"""Columns that merge rows of usage as `common.aggregates` does."""

HourKey = tuple[str, str, str, int, datetime]
"""(tenant, meter, group key, shard, hour)"""


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
    """SQL that lets hours enter their days later, for a service's migration after `day_table`."""
    return f"""
    ALTER TABLE {schema}.usage_hours ADD COLUMN folded boolean NOT NULL DEFAULT true;
    ALTER TABLE {schema}.usage_hours ALTER COLUMN folded SET DEFAULT false;
    COMMENT ON COLUMN {schema}.usage_hours.folded IS 'whether its row in usage_days holds it';
    CREATE INDEX usage_hours_not_folded
        ON {schema}.usage_hours (tenant, meter, group_key, shard, hour) WHERE NOT folded;
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


async def fold(
    tx: Any, schema: str, *, begun: Sequence[HourKey], changed: Iterable[HourKey]
) -> None:
    """Bring the days up to their hours. `begun`: hours that are new, so the hours before them
    enter their days. `changed`: hours whose day holds them already."""
    ended: list[Any] = []
    if begun:
        ended = await tx.fetch(
            f"""
            UPDATE {schema}.usage_hours AS known
            SET folded = true
            FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
                     AS begun (tenant, meter, group_key, shard, hour)
            WHERE known.tenant = begun.tenant
              AND known.meter = begun.meter
              AND known.group_key = begun.group_key
              AND known.shard = begun.shard
              AND known.hour < begun.hour
              AND NOT known.folded
            RETURNING known.tenant, known.meter, known.group_key, known.shard, known.hour
            """,
            *zip(*sorted(begun), strict=True),
        )
    await _refresh(tx, schema, {(*place, day_of(hour)) for *place, hour in (*ended, *changed)})


async def _refresh(tx: Any, schema: str, touched: Iterable[tuple[Any, ...]]) -> None:
    """Make those days, (tenant, meter, group key, shard, day), again from their folded hours."""
    rows = sorted(touched)
    if not rows:
        return
    await tx.execute(
        f"""
        INSERT INTO {schema}.usage_days
            (tenant, meter, day, group_key, shard, aggregation, hours, version, count, sum, min,
             max, latest, latest_at)
        SELECT touched.tenant, touched.meter, touched.day, touched.group_key, touched.shard,
               made.*
        FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
                 AS touched (tenant, meter, group_key, shard, day)
        CROSS JOIN LATERAL (
            SELECT aggregation, count(*) AS hours, max(version) AS version, {TOTALS}
            FROM {schema}.usage_hours
            WHERE tenant = touched.tenant
              AND meter = touched.meter
              AND hour >= touched.day
              AND hour < touched.day + interval '24 hours'
              AND group_key = touched.group_key
              AND shard = touched.shard
              AND folded
            GROUP BY aggregation) AS made
        ON CONFLICT (tenant, meter, day, group_key, shard) DO UPDATE
        SET aggregation = excluded.aggregation,
            hours = excluded.hours,
            version = excluded.version,
            count = excluded.count,
            sum = excluded.sum,
            min = excluded.min,
            max = excluded.max,
            latest = excluded.latest,
            latest_at = excluded.latest_at
        """,
        *zip(*rows, strict=True),
    )
