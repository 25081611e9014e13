"""Subscriptions, where they are cut, and the marks that make the worker rate them again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from common.contracts.topics import shard_of
from rating.subscription import Subscription

_SELECT = """
    SELECT subscription.id, subscription.tenant, subscription.plan, subscription.plan_version,
           subscription.starts_at, subscription.ends_at, tenant.billing_day, tenant.timezone,
           ARRAY(SELECT cut.at
                 FROM rating.cuts AS cut
                 WHERE cut.subscription = subscription.id
                 ORDER BY cut.at) AS cuts
    FROM rating.subscriptions AS subscription
    JOIN rating.tenants AS tenant ON tenant.key = subscription.tenant
"""


async def get(connection: Any, subscription: str) -> Subscription | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE subscription.id = $1", subscription)
    return _subscription(row) if row is not None else None


async def many(connection: Any, ids: Sequence[str]) -> list[Subscription]:
    """Those of the subscriptions that exist, by id."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subscription.id = ANY($1) ORDER BY subscription.id", list(ids)
    )
    return [_subscription(row) for row in rows]


async def page(
    connection: Any, tenant: str | None, plan: str | None, after: str, limit: int
) -> list[Subscription]:
    """Up to `limit` subscriptions with ids after `after`, by id, which is by age."""
    rows = await connection.fetch(
        f"""
        {_SELECT}
        WHERE subscription.id > $1
          AND ($2::text IS NULL OR subscription.tenant = $2)
          AND ($3::text IS NULL OR subscription.plan = $3)
        ORDER BY subscription.id
        LIMIT $4
        """,
        after,
        tenant,
        plan,
        limit,
    )
    return [_subscription(row) for row in rows]


async def spans(connection: Any, tenant: str, plan: str) -> list[tuple[datetime, datetime | None]]:
    """When the tenant has been, is or will be on the plan."""
    rows = await connection.fetch(
        "SELECT starts_at, ends_at FROM rating.subscriptions WHERE tenant = $1 AND plan = $2",
        tenant,
        plan,
    )
    return [(row["starts_at"], row["ends_at"]) for row in rows]


async def add(tx: Any, subscription: Subscription) -> None:
    """Store a new subscription and have it rated."""
    await tx.execute(
        """
        INSERT INTO rating.subscriptions
            (id, tenant, shard, plan, plan_version, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        subscription.id,
        subscription.tenant,
        shard_of(subscription.tenant),
        subscription.plan,
        subscription.plan_version,
        subscription.start,
        subscription.end,
    )
    await mark_all(tx, subscription)


async def end(tx: Any, subscription: Subscription, at: datetime) -> None:
    """End the subscription and have it rated again."""
    await tx.execute(
        "UPDATE rating.subscriptions SET ends_at = $2 WHERE id = $1", subscription.id, at
    )
    await mark_all(tx, subscription)


async def cut(tx: Any, subscription: Subscription, at: datetime) -> None:
    """Split the period there and have the subscription rated again."""
    await tx.execute(
        "INSERT INTO rating.cuts (subscription, at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        subscription.id,
        at,
    )
    await mark_all(tx, subscription)


async def mark_all(tx: Any, subscription: Subscription) -> None:
    """Everything of the subscription is to be rated again."""
    await tx.execute(
        "INSERT INTO rating.dirty_subscriptions (subscription, shard) VALUES ($1, $2)",
        subscription.id,
        shard_of(subscription.tenant),
    )


def _subscription(row: Any) -> Subscription:
    return Subscription(
        id=row["id"],
        tenant=row["tenant"],
        plan=row["plan"],
        plan_version=row["plan_version"],
        start=row["starts_at"],
        end=row["ends_at"],
        anchor_day=row["billing_day"],
        zone=row["timezone"],
        cuts=tuple(row["cuts"]),
    )
