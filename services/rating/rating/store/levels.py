"""How long levels were held: the integral of a gauge, from the rows of its usage.

A gauge (a meter of aggregation `latest`) reports levels. Each slot of ten seconds keeps its last
one and when that was; so does each hour and each day, from which the level before a time is read.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from common.usage import Place
from common.usage_days import day_of
from rating.parts.usage import NO_LEVELS, Levels


async def levels(connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
    """The levels of each place, in order, in one query.

    A level counts from its report until the next one of its group, whichever shard told it; the
    last one known before the place counts from its begin. A place that has not ended by `now`
    counts up to the last report in it, of any group. Groups add up.
    """
    if not places:
        return []
    starts = [start.astimezone(UTC) for _, _, start, _ in places]
    hours = [start.replace(minute=0, second=0, microsecond=0) for start in starts]
    rows = await connection.fetch(
        """
        WITH report AS (
            SELECT place.number, place.starts, place.ends, place.ended, level.*
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[],
                        $5::timestamptz[], $6::timestamptz[], $7::boolean[])
                     WITH ORDINALITY
                     AS place (tenant, meter, starts, ends, hour, day, ended, number)
            CROSS JOIN LATERAL (
                SELECT group_key, latest, latest_at, true AS inside
                FROM rating.usage_slots
                WHERE tenant = place.tenant
                  AND meter = place.meter
                  AND slot >= place.starts
                  AND slot < place.ends
                  AND latest_at IS NOT NULL
                UNION ALL
                (SELECT DISTINCT ON (group_key) group_key, latest, latest_at, false
                 FROM (
                     SELECT group_key, latest, latest_at
                     FROM rating.usage_days
                     WHERE tenant = place.tenant
                       AND meter = place.meter
                       AND day < place.day
                     UNION ALL
                     -- Hours that are in no day yet.
                     SELECT group_key, latest, latest_at
                     FROM rating.usage_hours
                     WHERE tenant = place.tenant
                       AND meter = place.meter
                       AND hour < place.day
                       AND NOT folded
                     UNION ALL
                     SELECT group_key, latest, latest_at
                     FROM rating.usage_hours
                     WHERE tenant = place.tenant
                       AND meter = place.meter
                       AND hour >= place.day
                       AND hour < place.hour
                     UNION ALL
                     SELECT group_key, latest, latest_at
                     FROM rating.usage_slots
                     WHERE tenant = place.tenant
                       AND meter = place.meter
                       AND slot >= place.hour
                       AND slot < place.starts) AS earlier
                 WHERE latest_at IS NOT NULL
                 ORDER BY group_key, latest_at DESC, latest DESC)) AS level
        ),
        held AS (
            SELECT number, group_key, latest, inside,
                   greatest(latest_at, starts) AS since,
                   lead(latest_at) OVER (
                       PARTITION BY number, group_key ORDER BY latest_at, latest) AS replaced_at,
                   CASE
                       WHEN ended THEN ends
                       ELSE greatest(starts, max(latest_at) OVER (PARTITION BY number))
                   END AS until
            FROM report
        )
        SELECT number,
               sum(latest * extract(epoch FROM coalesce(replaced_at, until) - since))
                   AS unit_seconds,
               max(until) AS until,
               count(*) FILTER (WHERE inside) AS slots,
               count(DISTINCT group_key) AS groups
        FROM held
        GROUP BY number
        """,
        *zip(
            *(
                (*place, hour, day_of(hour), place[3] <= now)
                for place, hour in zip(places, hours, strict=True)
            ),
            strict=True,
        ),
    )
    found = {
        row["number"] - 1: Levels(row["unit_seconds"], row["until"], row["slots"], row["groups"])
        for row in rows
    }
    return [found.get(number, NO_LEVELS) for number in range(len(places))]
