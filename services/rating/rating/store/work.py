"""What the worker has to do: which subscriptions changed, and for which a time has come, such as
the begin of their next period."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.rollups import Rollup
from common.usage import HOUR
from rating.subscription import LATEST


class Due(msgspec.Struct, kw_only=True):
    """A subscription to rate. `spans`: what changed; None: everything may have. `next_period_at`:
    from there on nothing has been rated yet; None: nothing is to come, or nothing was rated."""

    spans: list[tuple[datetime, datetime]] | None
    next_period_at: datetime | None = None


def concerned(rollup: Rollup) -> tuple[datetime, datetime]:
    """The time of which a rollup tells: its hour, and of a gauge all that follows, for a level is
    held until the next one."""
    return rollup.hour, LATEST if rollup.aggregation == "latest" else rollup.hour + HOUR


async def mark_usage(tx: Any, rollups: Sequence[Rollup]) -> None:
    """Mark the subscriptions that the rollups' tenants have, had or will have on those meters."""
    spans: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for rollup in rollups:
        key, (since, until) = (rollup.tenant, rollup.meter), concerned(rollup)
        first, last = spans.get(key, (since, until))
        spans[key] = (min(first, since), max(last, until))
    if not spans:
        return
    await tx.execute(
        """
        INSERT INTO rating.dirty_subscriptions (subscription, shard, since, until)
        SELECT held.subscription, held.shard, min(used.since), max(used.until)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                 AS used (tenant, meter, since, until)
        JOIN rating.subscription_plans AS held
          ON held.tenant = used.tenant
         AND held.since < used.until
         AND (held.until IS NULL OR held.until > used.since)
        JOIN rating.plan_versions AS published
          ON published.plan = held.plan
         AND published.version = held.plan_version
         AND published.units ? used.meter
        GROUP BY held.subscription, held.shard
        """,
        [tenant for tenant, _ in spans],
        [meter for _, meter in spans],
        [since for since, _ in spans.values()],
        [until for _, until in spans.values()],
    )


async def take(
    tx: Any, partition: int, partitions: int, now: datetime, limit: int
) -> tuple[dict[str, Due], bool]:
    """Up to `limit` marked subscriptions of the partition, and as many whose time has come; their
    marks are gone when the transaction commits. The flag: whether that was all."""
    due: dict[str, Due] = {}
    marks = await tx.fetch(
        """
        DELETE FROM rating.dirty_subscriptions
        WHERE subscription IN (
                  SELECT subscription
                  FROM rating.dirty_subscriptions
                  WHERE shard % $2 = $1
                  GROUP BY subscription
                  ORDER BY min(id)
                  LIMIT $3)
        RETURNING subscription, since, until
        """,
        partition,
        partitions,
        limit,
    )
    for mark in marks:
        entry = due.setdefault(mark["subscription"], Due(spans=[]))
        if mark["since"] is None:
            entry.spans = None
        elif entry.spans is not None:
            entry.spans.append((mark["since"], mark["until"]))
    whole = len(due) < limit
    marked = await tx.fetch(
        """
        SELECT subscription, next_period_at
        FROM rating.schedule
        WHERE subscription = ANY($1)
        """,
        list(due),
    )
    begun = await tx.fetch(
        """
        SELECT subscription, next_period_at
        FROM rating.schedule
        WHERE next_period_at <= $3
          AND shard % $2 = $1
        ORDER BY next_period_at
        LIMIT $4
        """,
        partition,
        partitions,
        now,
        limit,
    )
    for row in (*marked, *begun):
        entry = due.setdefault(row["subscription"], Due(spans=[]))
        entry.next_period_at = row["next_period_at"]
    return due, whole and len(begun) < limit


async def reschedule(tx: Any, shards: Mapping[str, int], times: Mapping[str, datetime]) -> None:
    """Note when each subscription is to be rated next though nothing is used; one without a time
    never is."""
    over = [subscription for subscription in shards if subscription not in times]
    if over:
        await tx.execute("DELETE FROM rating.schedule WHERE subscription = ANY($1)", over)
    if not times:
        return
    await tx.execute(
        """
        INSERT INTO rating.schedule AS known (subscription, shard, next_period_at)
        SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[])
        ON CONFLICT (subscription) DO UPDATE
        SET next_period_at = excluded.next_period_at
        WHERE known.next_period_at <> excluded.next_period_at
        """,
        list(times),
        [shards[subscription] for subscription in times],
        list(times.values()),
    )
