"""Plans and their versions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """A published version of a plan. `body` as its author wrote it; `units` of its meters."""

    plan: str
    version: int
    body: dict[str, Any]
    units: dict[str, str]
    created_at: datetime


_COLUMNS = "plan, version, body, units, created_at"


async def lock(tx: Any, slug: str) -> PlanRow | None:
    """The newest version, None for a new plan; nobody else publishes one until the transaction
    ends."""
    await tx.execute(
        "INSERT INTO rating.plans (slug, version) VALUES ($1, 0) ON CONFLICT DO NOTHING", slug
    )
    version = await tx.fetchval("SELECT version FROM rating.plans WHERE slug = $1 FOR UPDATE", slug)
    return await version_of(tx, slug, version)


async def publish(tx: Any, slug: str, version: int, body: Any, units: dict[str, str]) -> PlanRow:
    """Add a version to a locked plan."""
    await tx.execute("UPDATE rating.plans SET version = $2 WHERE slug = $1", slug, version)
    row = await tx.fetchrow(
        f"""
        INSERT INTO rating.plan_versions (plan, version, body, units)
        VALUES ($1, $2, $3, $4)
        RETURNING {_COLUMNS}
        """,
        slug,
        version,
        body,
        units,
    )
    return PlanRow(**dict(row))


async def version_of(connection: Any, slug: str, version: int) -> PlanRow | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM rating.plan_versions WHERE plan = $1 AND version = $2",
        slug,
        version,
    )
    return PlanRow(**dict(row)) if row is not None else None


async def newest(connection: Any, slug: str) -> PlanRow | None:
    row = await connection.fetchrow(
        f"""
        SELECT {_COLUMNS}
        FROM rating.plan_versions
        WHERE plan = $1
        ORDER BY version DESC
        LIMIT 1
        """,
        slug,
    )
    return PlanRow(**dict(row)) if row is not None else None


async def effective(connection: Any, slug: str, at: datetime) -> PlanRow | None:
    """The newest version that new subscriptions are put on from `at` on."""
    row = await connection.fetchrow(
        f"""
        SELECT {_COLUMNS}
        FROM rating.plan_versions
        WHERE plan = $1
          AND (body ->> 'effective_from' IS NULL
               OR (body ->> 'effective_from')::timestamptz <= $2)
        ORDER BY version DESC
        LIMIT 1
        """,
        slug,
        at,
    )
    return PlanRow(**dict(row)) if row is not None else None


async def page(connection: Any, after: str, limit: int) -> list[PlanRow]:
    """The newest version of up to `limit` plans with slugs after `after`, by slug."""
    rows = await connection.fetch(
        """
        SELECT published.plan, published.version, body, units, published.created_at
        FROM rating.plans AS plan
        JOIN rating.plan_versions AS published
          ON published.plan = plan.slug AND published.version = plan.version
        WHERE plan.slug > $1
        ORDER BY plan.slug
        LIMIT $2
        """,
        after,
        limit,
    )
    return [PlanRow(**dict(row)) for row in rows]


async def versions(connection: Any, wanted: Iterable[tuple[str, int]]) -> list[PlanRow]:
    """Those versions that exist, in any order."""
    plans, numbers = zip(*wanted, strict=True)
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.plan_versions
        WHERE (plan, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
        """,
        plans,
        numbers,
    )
    return [PlanRow(**dict(row)) for row in rows]
