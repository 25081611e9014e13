"""Reading usage: the rows of all shards and series that fill each window, summed by PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from aggregator.windows import Run
from common.contracts.rollups import Aggregate


class Selection(NamedTuple):
    """Which series of a meter, and how to group them.

    tenants  None: all. dimensions: those to group by. filters: values that dimensions must have.
    """

    meter: str
    tenants: list[str] | None
    dimensions: list[str]
    filters: Mapping[str, str]


class Place(NamedTuple):
    """One row of an answer: the number of its window (from 1), its tenant and group."""

    window: int
    tenant: str
    group: list[str]


_CHOSEN = """
    WITH chosen AS MATERIALIZED (
        SELECT id, tenant, ARRAY(
            SELECT coalesce(dimensions ->> name, '') COLLATE "C"
            FROM unnest($2::text[]) WITH ORDINALITY AS wanted (name, place)
            ORDER BY place
        ) AS grouping
        FROM aggregator.series
        WHERE meter = $1
          AND ($3::text[] IS NULL OR tenant = ANY($3))
          AND dimensions @> $4::jsonb
    )
    """
_AFTER = """
    ($6::int IS NULL OR (window_number, tenant, grouping) > ($6, $7::text, $8::text[]))
    """


async def aggregates(
    connection: Any,
    selection: Selection,
    edges: Sequence[datetime],
    runs: Sequence[Run],
    after: Place | None,
    limit: int,
) -> list[tuple[Place, Aggregate]]:
    """What the windows between `edges` hold, in the order of `Place`, after `after`.

    Windows without usage have no row. `runs` (see `windows.runs`) must tile the edges.
    """
    parts = []
    arguments: list[Any] = [*_arguments(selection, edges, after), limit]
    for table in sorted({run.table for run in runs}):
        own = [run for run in runs if run.table == table]
        first = len(arguments) + 1
        arguments += [
            [run.start for run in own],
            [run.end for run in own],
            own[0].start,
            own[-1].end,
        ]
        parts.append(_rows(table, first))
        if table == "days":
            parts.append(f"{_rows('hours', first)} AND NOT r.folded")
    rows = await connection.fetch(
        f"""
        {_CHOSEN}
        SELECT window_number, tenant, grouping, sum(count)::bigint AS count, sum(sum) AS sum,
               min(min) AS min, max(max) AS max, max(latest_at) AS latest_at,
               (array_agg(latest ORDER BY latest_at DESC, latest DESC)
                   FILTER (WHERE latest_at IS NOT NULL))[1] AS latest
        FROM ({" UNION ALL ".join(parts)}) AS parts
        WHERE {_AFTER}
        GROUP BY window_number, tenant, grouping
        ORDER BY window_number, tenant, grouping
        LIMIT $9
        """,
        *arguments,
    )
    return [
        (
            _place(row),
            Aggregate(
                count=row["count"],
                sum=row["sum"],
                min=row["min"],
                max=row["max"],
                latest=row["latest"],
                latest_at=row["latest_at"],
            ),
        )
        for row in rows
    ]


async def distinct_members(
    connection: Any,
    selection: Selection,
    edges: Sequence[datetime],
    after: Place | None,
    limit: int,
) -> list[tuple[Place, int]]:
    """How many different members each window saw: over all its slots, shards and series."""
    rows = await connection.fetch(
        f"""
        {_CHOSEN}
        SELECT window_number, tenant, grouping, count(DISTINCT member) AS members
        FROM (
            SELECT width_bucket(r.bucket, $5::timestamptz[]) AS window_number, c.tenant,
                   c.grouping, r.member
            FROM chosen c
            JOIN aggregator.members r ON r.series = c.id
            WHERE r.bucket >= $10
              AND r.bucket < $11
        ) AS parts
        WHERE {_AFTER}
        GROUP BY window_number, tenant, grouping
        ORDER BY window_number, tenant, grouping
        LIMIT $9
        """,
        *_arguments(selection, edges, after),
        limit,
        edges[0],
        edges[-1],
    )
    return [(_place(row), row["members"]) for row in rows]


def _rows(table: str, first: int) -> str:
    """The rows of `table` in runs, whose starts, ends and bounds are the parameters from `first`
    on. A day's row holds the hours that are folded; the others are beside it."""
    return f"""
            SELECT width_bucket(r.bucket, $5::timestamptz[]) AS window_number, c.tenant,
                   c.grouping, r.count, r.sum, r.min, r.max, r.latest, r.latest_at
            FROM chosen c
            JOIN aggregator.{table} r ON r.series = c.id
            JOIN unnest(${first}::timestamptz[], ${first + 1}::timestamptz[]) AS run (lo, hi)
              ON r.bucket >= run.lo AND r.bucket < run.hi
            WHERE r.bucket >= ${first + 2}
              AND r.bucket < ${first + 3}"""


def _arguments(
    selection: Selection, edges: Sequence[datetime], after: Place | None
) -> tuple[Any, ...]:
    """$1 to $8."""
    return (
        selection.meter,
        selection.dimensions,
        selection.tenants,
        dict(selection.filters),
        list(edges),
        *(after if after is not None else (None, None, None)),
    )


def _place(row: asyncpg.Record) -> Place:
    return Place(row["window_number"], row["tenant"], list(row["grouping"]))
