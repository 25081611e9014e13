"""Sums of usage by UTC day, beside the hours that they are made from.

A month of hours is 720 rows a meter, and rating adds it up for every subscription whose usage
changes. A day is made again from its hours in the transaction that changes one of them, so it is
never older or newer than they are; a period then reads its whole days, and hours only at its ends.
"""

from collections.abc import Iterable
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

Touched = tuple[str, str, str, int, datetime]
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


async def refresh(tx: Any, schema: str, touched: Iterable[Touched]) -> None:
    """Make those days again from their hours, in the order of their keys."""
    rows = sorted(set(touched))
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
