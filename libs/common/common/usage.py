"""Usage by hour and slot, kept from usage.rollups by the services that need it.

Rows are absolute and versioned: an upsert takes the higher version, so rollups may come twice,
late and in any order. A period that does not begin or end on an hour is cut out of slots of ten
seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from common.aggregates import combine
from common.aggregates_sql import TOTALS
from common.contracts.rollups import Aggregate, Rollup, group_key, group_of
from common.periods import slot_of
from common.usage_days import whole_days
from common.usage_rows import write

HOUR = timedelta(hours=1)
STEP_ROLLUPS: Final = 10_000
GATHER_SECONDS: Final = 1.0
"""How many rollups a step that stores them takes, and how long under load they wait for company:
they are absolute, so those of one row that meet in a step are one write."""
Place = tuple[str, str, datetime, datetime]
"""(tenant, meter, start, end): [start, end) lies on slots."""


def usage_tables(schema: str) -> str:
    """SQL of the tables, for a service's migration."""
    columns = """
        count      bigint  NOT NULL,
        sum        numeric,
        min        numeric,
        max        numeric,
        latest     numeric,
        latest_at  timestamptz,
        version    bigint  NOT NULL"""
    return f"""
    CREATE TABLE {schema}.usage_hours (
        tenant       text        NOT NULL,
        meter        text        NOT NULL,
        hour         timestamptz NOT NULL,
        group_key    text        NOT NULL,
        shard        integer     NOT NULL,
        aggregation  text        NOT NULL,{columns},
        PRIMARY KEY (tenant, meter, hour, group_key, shard)
    ) WITH (fillfactor = 70);

    CREATE TABLE {schema}.usage_slots (
        tenant       text        NOT NULL,
        meter        text        NOT NULL,
        slot       timestamptz NOT NULL,
        group_key    text        NOT NULL,
        shard        integer     NOT NULL,
        aggregation  text        NOT NULL,{columns},
        PRIMARY KEY (tenant, meter, slot, group_key, shard)
    ) WITH (fillfactor = 70);

    CREATE TABLE {schema}.usage_members (
        tenant     text        NOT NULL,
        meter      text        NOT NULL,
        slot     timestamptz NOT NULL,
        group_key  text        NOT NULL,
        member     text        NOT NULL,
        PRIMARY KEY (tenant, meter, slot, group_key, member)
    );
    """


@dataclass(frozen=True)
class Usage:
    """What a tenant used of a meter in a period.

    `quantity`: in the meter's unit; 0 when there is nothing. `rows`: how many hours and slots it
    was read from. `versions`: the highest version by shard, which identifies the usage that was
    seen. `count`: of events.
    """

    quantity: Decimal
    rows: int
    versions: dict[int, int]
    count: int


@dataclass(frozen=True)
class GroupUsage:
    """What a tenant used of a meter in a period in one group. `count`: of events."""

    group: dict[str, str]
    quantity: Decimal
    count: int


@dataclass(frozen=True)
class UsageRow:
    """A row that usage is read from: [start, end) is an hour, or a slot where a period begins or
    ends within the hour."""

    start: datetime
    end: datetime
    group: dict[str, str]
    shard: int
    version: int
    aggregation: str
    value: Aggregate

    @property
    def key(self) -> "RowKey":
        """What the rows of a place are ordered by."""
        return self.start, group_key(self.group), self.shard


RowKey = tuple[datetime, str, int]
"""(start, group key, shard)"""


def split(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The whole hours inside [start, end): the bounds of what can be read from hours."""
    first = start.replace(minute=0, second=0, microsecond=0)
    if first < start:
        first += HOUR
    last = end.replace(minute=0, second=0, microsecond=0)
    return first, max(first, last)


class UsageProjection:
    """The tables of `usage_tables` in `schema`. `days`: with the table of `usage_days.day_table`,
    for who adds up long periods again and again."""

    def __init__(self, schema: str, *, days: bool = False) -> None:
        self._schema, self._days = schema, days

    async def upsert(self, tx: Any, rollups: Sequence[Rollup]) -> None:
        """Take over `rollups` (any order, repeats allowed) in the transaction of `tx`, once."""
        await write(tx, self._schema, rollups, days=self._days)

    async def usage(
        self, connection: Any, tenant: str, meter: str, start: datetime, end: datetime
    ) -> Usage:
        """What `tenant` used of `meter` in [start, end), over all groups. Bounds lie
        on slots (ValueError otherwise)."""
        [usage] = await self.usages(connection, [(tenant, meter, start, end)])
        return usage

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]:
        """`usage` of each place, in order, in one query: the database adds up the hours, or the
        whole days where it keeps them."""
        if not places:
            return []
        _check_slots(places)
        rows = await self._totals(connection, places, "shard")
        found: dict[int, list[Any]] = {}
        for row in rows:
            found.setdefault(row["number"] - 1, []).append(row)
        distinct = [
            number for number, of in found.items() if of[0]["aggregation"] == "unique_count"
        ]
        members = await self._distinct(connection, [places[number] for number in distinct])
        counted = dict(zip(distinct, members, strict=True))
        return [_usage(found.get(number, []), counted.get(number)) for number in range(len(places))]

    async def _totals(
        self, connection: Any, places: Sequence[Place], by: Literal["shard", "group_key"]
    ) -> list[Any]:
        """The totals of each place (its `number` counts from 1) by shard or group. Each place is
        added up by itself: grouping all of their rows at once would sort them on disk."""
        hours = [split(start, end) for _, _, start, end in places]
        days = [whole_days(*one) if self._days else (one[1], one[1]) for one in hours]
        parts = [
            _summed(self._schema, "hour", "hour >= first_hour AND hour < first_day"),
            _summed(self._schema, "hour", "hour >= last_day AND hour < last_hour"),
            _summed(self._schema, "slot", "slot >= starts AND slot < least(first_hour, ends)"),
            _summed(self._schema, "slot", "slot >= last_hour AND slot < ends"),
        ]
        if self._days:
            parts += [
                _summed(self._schema, "day", "day >= first_day AND day < last_day"),
                _summed(
                    self._schema, "hour", "hour >= first_day AND hour < last_day AND NOT folded"
                ),
            ]
        rows: list[Any] = await connection.fetch(
            f"""
            SELECT place.number, total.*
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[],
                        $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
                        $8::timestamptz[])
                     WITH ORDINALITY
                     AS place (tenant, meter, starts, ends, first_hour, last_hour, first_day,
                               last_day, number)
            CROSS JOIN LATERAL (
                SELECT {by}, aggregation, sum(rows)::bigint AS rows, max(version) AS version,
                       {TOTALS}
                FROM ({" UNION ALL ".join(parts)}) AS used
                GROUP BY {by}, aggregation) AS total
            ORDER BY place.number, {by}
            """,
            *zip(
                *(
                    (*place, *whole_hours, *inner)
                    for place, whole_hours, inner in zip(places, hours, days, strict=True)
                ),
                strict=True,
            ),
        )
        return rows

    async def groups(self, connection: Any, places: Sequence[Place]) -> list[list[GroupUsage]]:
        """What was used of each place by group, the groups in the order of their keys."""
        if not places:
            return []
        _check_slots(places)
        rows = await self._totals(connection, places, "group_key")
        members = await self._distinct_by_group(
            connection,
            [
                (places[row["number"] - 1], row["group_key"])
                for row in rows
                if row["aggregation"] == "unique_count"
            ],
        )
        found: list[list[GroupUsage]] = [[] for _ in places]
        for row in rows:
            total = _aggregate(row)
            is_distinct = row["aggregation"] == "unique_count"
            quantity = members.pop(0) if is_distinct else combine(row["aggregation"], [total])
            found[row["number"] - 1].append(
                GroupUsage(group_of(row["group_key"]), quantity or Decimal(0), total.count)
            )
        return found

    async def rows(
        self, connection: Any, place: Place, after: RowKey | None, limit: int
    ) -> list[UsageRow]:
        """Up to `limit` rows that a place's usage is read from, by time, group and shard, from
        behind `after`."""
        _check_slots([place])
        hour = _part(self._schema, "hour", "hour >= first_hour AND hour < last_hour")
        before = _part(self._schema, "slot", "slot >= starts AND slot < least(first_hour, ends)")
        behind = _part(self._schema, "slot", "slot >= last_hour AND slot < ends")
        rows = await connection.fetch(
            f"""
            SELECT used.*
            FROM (SELECT $1::text, $2::text, $3::timestamptz, $4::timestamptz, $5::timestamptz,
                         $6::timestamptz)
                     AS place (tenant, meter, starts, ends, first_hour, last_hour)
            CROSS JOIN LATERAL ({hour} UNION ALL {before} UNION ALL {behind}) AS used
            WHERE $7::timestamptz IS NULL OR (bucket, group_key, shard) > ($7, $8::text, $9::int)
            ORDER BY bucket, group_key, shard
            LIMIT $10
            """,
            *place,
            *split(place[2], place[3]),
            *(after or (None, None, None)),
            limit,
        )
        return [
            UsageRow(
                row["bucket"],
                row["bucket"] + row["width"],
                group_of(row["group_key"]),
                row["shard"],
                row["version"],
                row["aggregation"],
                _aggregate(row),
            )
            for row in rows
        ]

    async def _distinct_by_group(
        self, connection: Any, wanted: Sequence[tuple[Place, str]]
    ) -> list[Decimal]:
        if not wanted:
            return []
        rows = await connection.fetch(
            f"""
            SELECT (SELECT count(DISTINCT member)
                    FROM {self._schema}.usage_members
                    WHERE tenant = place.tenant
                      AND meter = place.meter
                      AND slot >= place.starts
                      AND slot < place.ends
                      AND group_key = place.group_key) AS members
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[])
                     WITH ORDINALITY AS place (tenant, meter, starts, ends, group_key, number)
            ORDER BY place.number
            """,
            *zip(*((*place, group) for place, group in wanted), strict=True),
        )
        return [Decimal(row["members"]) for row in rows]

    async def _distinct(self, connection: Any, places: Sequence[Place]) -> list[Decimal]:
        if not places:
            return []
        rows = await connection.fetch(
            f"""
            SELECT (SELECT count(DISTINCT member)
                    FROM {self._schema}.usage_members
                    WHERE tenant = place.tenant
                      AND meter = place.meter
                      AND slot >= place.starts
                      AND slot < place.ends) AS members
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                     WITH ORDINALITY AS place (tenant, meter, starts, ends, number)
            ORDER BY place.number
            """,
            *zip(*places, strict=True),
        )
        return [Decimal(row["members"]) for row in rows]


def _part(schema: str, bucket: str, condition: str) -> str:
    """The rows of hours or slots (`bucket`) of `place` for which `condition` holds."""
    width = "1 hour" if bucket == "hour" else "10 seconds"
    return f"""
                    SELECT {bucket} AS bucket, interval '{width}' AS width, group_key, shard,
                           aggregation, version, count, sum, min, max, latest, latest_at
                    FROM {schema}.usage_{bucket}s
                    WHERE tenant = place.tenant
                      AND meter = place.meter
                      AND {condition}"""


def _summed(schema: str, bucket: str, condition: str) -> str:
    """The rows of days, hours or slots of `place` for which `condition` holds, to be added up."""
    rows = "folded_hours" if bucket == "day" else "1"
    return f"""
                    SELECT shard, group_key, aggregation, {rows} AS rows, version, count, sum,
                           min, max, latest, latest_at
                    FROM {schema}.usage_{bucket}s
                    WHERE tenant = place.tenant
                      AND meter = place.meter
                      AND {condition}"""


def _check_slots(places: Sequence[Place]) -> None:
    for _, _, start, end in places:
        if start != slot_of(start) or end != slot_of(end):
            raise ValueError(f"[{start}, {end}) is not cut at slots")


def _usage(rows: Sequence[Any], distinct: Decimal | None) -> Usage:
    """From the rows of one place, one a shard. `distinct`: how many members, if they count."""
    if not rows:
        return Usage(Decimal(0), 0, {}, 0)
    quantity = distinct
    if quantity is None:
        quantity = combine(rows[0]["aggregation"], map(_aggregate, rows)) or Decimal(0)
    return Usage(
        quantity,
        sum(row["rows"] for row in rows),
        {row["shard"]: row["version"] for row in rows},
        sum(row["count"] for row in rows),
    )


def _aggregate(row: Any) -> Aggregate:
    return Aggregate(
        count=row["count"],
        sum=row["sum"],
        min=row["min"],
        max=row["max"],
        latest=row["latest"],
        latest_at=row["latest_at"],
    )
