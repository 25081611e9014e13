"""Revisions of the catalog: which plan versions were published together."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec


class RevisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """`plans`: the versions that it published, by slug."""

    revision: int
    applied_at: datetime
    actor: str
    reason: str
    plans: dict[str, int]


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """Who is, or will be, on a version of a plan. `some`: the first tenants by key."""

    plan: str
    version: int
    subscriptions: int
    tenants: int
    some: list[str]


async def lock(tx: Any) -> int:
    """The revision, 0 before the first; nobody else publishes until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('rating.catalog', 0))")
    return await revision(tx)


async def revision(connection: Any) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(max(revision), 0) FROM rating.catalog_revisions"
    )
    return found


async def record(
    tx: Any, number: int, plans: Mapping[str, int], *, actor: str = "", reason: str = ""
) -> None:
    """Add a revision, under the lock."""
    await tx.execute(
        """
        INSERT INTO rating.catalog_revisions (revision, actor, reason, plans)
        VALUES ($1, $2, $3, $4)
        """,
        number,
        actor,
        reason,
        dict(plans),
    )


async def revisions(connection: Any, before: int | None, limit: int) -> list[RevisionRow]:
    """Up to `limit` revisions below `before`, the newest first."""
    rows = await connection.fetch(
        """
        SELECT revision, applied_at, actor, reason, plans
        FROM rating.catalog_revisions
        WHERE $1::bigint IS NULL OR revision < $1
        ORDER BY revision DESC
        LIMIT $2
        """,
        before,
        limit,
    )
    return [RevisionRow(**dict(row)) for row in rows]


async def subscribed(connection: Any, now: datetime) -> list[Subscribed]:
    """For each plan's version, who is on it at `now` or will be."""
    rows = await connection.fetch(
        """
        SELECT plan, plan_version AS version,
               count(DISTINCT subscription) AS subscriptions,
               count(DISTINCT tenant) AS tenants,
               (array_agg(DISTINCT tenant ORDER BY tenant))[1:20] AS some
        FROM rating.subscription_plans
        WHERE until IS NULL OR until > $1
        GROUP BY plan, plan_version
        ORDER BY plan, plan_version
        """,
        now,
    )
    return [Subscribed(**dict(row)) for row in rows]
