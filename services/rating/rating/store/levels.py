"""How long levels were held: the integral of a gauge, from the rows of its usage.

A gauge (a meter of aggregation `latest`) reports levels. Each slot of ten seconds keeps its last
one and when that was; so does each hour and each day, from which the level before a time is read.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from common.contracts.rollups import group_of
from common.usage import Place
from common.usage_days import day_of
from rating.parts.usage import NO_LEVELS, HeldLevel, Levels

LevelKey: TypeAlias = tuple[str, datetime]
"""(group key, begin): what the levels of a place are ordered by."""

_REPORTS: Final = """
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
                 ORDER BY group_key, latest_at DESC, latest DESC)"""
"""The reports that matter to `place`, of each group: those in it, and the last one before it."""


async def levels(connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
    """The levels of each place, in order, in one query.

    A level counts from its report until the next one of its group, whichever shard told it; the
    last one known before the place counts from its begin. A place that has not ended by `now`
    counts up to the last report in it, of any group. Groups add up.
    """
    if not places:
        return []
    hours = [_hour_of(start) for _, _, start, _ in places]
    rows = await connection.fetch(
        f"""
        WITH report AS (
            SELECT place.number, place.starts, place.ends, place.ended, level.*
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[],
                        $5::timestamptz[], $6::timestamptz[], $7::boolean[])
                     WITH ORDINALITY
                     AS place (tenant, meter, starts, ends, hour, day, ended, number)
            CROSS JOIN LATERAL ({_REPORTS}) AS level
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


async def held_levels(
    connection: Any, place: Place, until: datetime, after: LevelKey | None, limit: int
) -> list[HeldLevel]:
    """Up to `limit` levels of which the place's unit-seconds are made when it counts up to `until`,
    by group and time, from behind `after`. Levels that were replaced at once are left out."""
    hour = _hour_of(place[2])
    rows = await connection.fetch(
        f"""
        WITH report AS (
            SELECT level.*, place.starts
            FROM (SELECT $1::text, $2::text, $3::timestamptz, $4::timestamptz, $5::timestamptz,
                         $6::timestamptz)
                     AS place (tenant, meter, starts, ends, hour, day)
            CROSS JOIN LATERAL ({_REPORTS}) AS level
        ),
        held AS (
            SELECT group_key, latest, latest_at,
                   greatest(latest_at, starts) AS since,
                   least($7::timestamptz,
                         lead(latest_at) OVER (
                             PARTITION BY group_key ORDER BY latest_at, latest)) AS until
            FROM report
            -- What has been listed decides nothing that follows.
            WHERE $8::text IS NULL OR (group_key, latest_at) >= ($8, $9::timestamptz)
        )
        SELECT *
        FROM held
        WHERE since < until
          AND ($8 IS NULL OR (group_key, since) > ($8, $9))
        ORDER BY group_key, since
        LIMIT $10
        """,
        *place,
        hour,
        day_of(hour),
        until,
        *(after or (None, None)),
        limit,
    )
    return [
        HeldLevel(
            group_of(row["group_key"]),
            row["latest"],
            row["latest_at"],
            row["since"],
            row["until"],
        )
        for row in rows
    ]


def _hour_of(start: datetime) -> datetime:
    return start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
