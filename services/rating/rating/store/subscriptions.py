"""Subscriptions with their histories, and the marks that make the worker rate them again."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.topics import shard_of
from rating.history import Fact
from rating.subscription import Subscription, plan_spans

BATCH = 100
"""Subscriptions that are rated before others get a turn in the process."""

_SELECT = """
    SELECT subscription.id, subscription.tenant, tenant.currency, tenant.billing_day,
           tenant.timezone
    FROM rating.subscriptions AS subscription
    JOIN rating.tenants AS tenant ON tenant.key = subscription.tenant
"""


async def get(connection: Any, subscription: str) -> Subscription | None:
    found = await many(connection, [subscription])
    return found[0] if found else None


async def many(connection: Any, ids: Sequence[str]) -> list[Subscription]:
    """Those of the subscriptions that exist, by id."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subscription.id = ANY($1) ORDER BY subscription.id", list(ids)
    )
    return await _with_facts(connection, rows)


async def page(
    connection: Any, tenant: str | None, plan: str | None, after: str, limit: int
) -> list[Subscription]:
    """Up to `limit` subscriptions with ids after `after`, by id, which is by age; of a tenant,
    and such that were, are or will be on a plan."""
    rows = await connection.fetch(
        f"""
        {_SELECT}
        WHERE subscription.id > $1
          AND ($2::text IS NULL OR subscription.tenant = $2)
          AND ($3::text IS NULL OR EXISTS (
                  SELECT
                  FROM rating.subscription_plans AS held
                  WHERE held.subscription = subscription.id
                    AND held.plan = $3))
        ORDER BY subscription.id
        LIMIT $4
        """,
        after,
        tenant,
        plan,
        limit,
    )
    return await _with_facts(connection, rows)


async def of_tenants(connection: Any, tenants: Sequence[str]) -> list[Subscription]:
    """All subscriptions of the tenants, by tenant, start and id."""
    rows = await connection.fetch(
        f"""
        {_SELECT}
        WHERE subscription.tenant = ANY($1)
        ORDER BY subscription.tenant, subscription.starts_at, subscription.id
        """,
        list(tenants),
    )
    return await _with_facts(connection, rows)


async def spans(
    connection: Any, tenant: str, plan: str, *, without: str = ""
) -> list[tuple[datetime, datetime | None]]:
    """When the tenant has been, is or will be on the plan, by its subscriptions but `without`."""
    rows = await connection.fetch(
        """
        SELECT since, until
        FROM rating.subscription_plans
        WHERE tenant = $1
          AND plan = $2
          AND subscription <> $3
        """,
        tenant,
        plan,
        without,
    )
    return [(row["since"], row["until"]) for row in rows]


async def on_plans(
    connection: Any, plans: Sequence[str], now: datetime
) -> list[tuple[str, int, str, str]]:
    """(plan, version, subscription, tenant) of those that are, or will be, on one of the plans."""
    rows = await connection.fetch(
        """
        SELECT plan, plan_version, subscription, tenant
        FROM rating.subscription_plans
        WHERE plan = ANY($1)
          AND (until IS NULL OR until > $2)
        ORDER BY plan, plan_version, tenant, subscription
        """,
        list(plans),
        now,
    )
    return [tuple(row) for row in rows]


async def add(tx: Any, subscription: Subscription) -> None:
    """Store a new subscription and have it rated."""
    await tx.execute(
        """
        INSERT INTO rating.subscriptions (id, tenant, shard, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        subscription.id,
        subscription.tenant,
        shard_of(subscription.tenant),
        subscription.start,
        subscription.end,
    )
    await record(tx, subscription, subscription.facts)


async def batches(
    connection: Any, tenants: Sequence[str] | None, plan: str | None
) -> AsyncIterator[list[Subscription]]:
    """Batch by batch the subscriptions of those tenants; with None those that were, are or will be
    on the plan, or all."""
    if tenants is not None:
        keys = sorted(set(tenants))
        for first in range(0, len(keys), BATCH):
            yield await of_tenants(connection, keys[first : first + BATCH])
        return
    after = ""
    while found := await page(connection, None, plan, after, BATCH):
        yield found
        after = found[-1].id


async def record(tx: Any, subscription: Subscription, facts: Iterable[Fact]) -> None:
    """Add `facts`, after which the history is that of `subscription`, and have it rated again."""
    await tx.executemany(
        """
        INSERT INTO rating.subscription_facts
            (subscription, revision, kind, at, body, recorded_at, actor, reason)
        VALUES ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8)
        """,
        [
            (
                *(subscription.id, fact.revision, fact.kind, fact.at, fact.body),
                *(fact.recorded_at, fact.actor, fact.reason),
            )
            for fact in facts
        ],
    )
    await tx.execute(
        "UPDATE rating.subscriptions SET starts_at = $2, ends_at = $3 WHERE id = $1",
        subscription.id,
        subscription.start,
        subscription.end,
    )
    await tx.execute(
        "DELETE FROM rating.subscription_plans WHERE subscription = $1", subscription.id
    )
    held = plan_spans(subscription.timeline)
    await tx.execute(
        """
        INSERT INTO rating.subscription_plans
            (subscription, tenant, shard, plan, plan_version, since, until)
        SELECT $1, $2, $3, *
        FROM unnest($4::text[], $5::int[], $6::timestamptz[], $7::timestamptz[])
        """,
        subscription.id,
        subscription.tenant,
        shard_of(subscription.tenant),
        *([span[place] for span in held] for place in range(4)),
    )
    await mark(tx, subscription)


async def mark(
    tx: Any, subscription: Subscription, span: tuple[datetime, datetime] | None = None
) -> None:
    """What the subscription owes in the billing periods of `span` is to be rated again; None:
    everything."""
    since, until = span or (None, None)
    await tx.execute(
        """
        INSERT INTO rating.dirty_subscriptions (subscription, shard, since, until)
        VALUES ($1, $2, $3, $4)
        """,
        subscription.id,
        shard_of(subscription.tenant),
        since,
        until,
    )


async def _with_facts(connection: Any, rows: Sequence[Any]) -> list[Subscription]:
    """The subscriptions of rows, with their facts."""
    if not rows:
        return []
    facts: dict[str, list[Fact]] = {row["id"]: [] for row in rows}
    for found in await connection.fetch(
        """
        SELECT subscription, revision, kind, at, body, recorded_at, actor, reason
        FROM rating.subscription_facts
        WHERE subscription = ANY($1)
        ORDER BY subscription, revision
        """,
        list(facts),
    ):
        values = dict(found)
        facts[values.pop("subscription")].append(msgspec.convert(values, Fact))
    return [
        Subscription(
            id=row["id"],
            tenant=row["tenant"],
            currency=row["currency"],
            anchor_day=row["billing_day"],
            zone=row["timezone"],
            facts=tuple(facts[row["id"]]),
        )
        for row in rows
    ]
