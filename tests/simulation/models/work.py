"""`rating.store.work`: {number: mark} and {subscription: when its next period begins}."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from common.contracts.rollups import Rollup
from common.contracts.topics import SHARDS, shard_of
from rating.store.work import Due, concerned
from rating.subscription import Subscription, plan_spans

MARKS = "rating.dirty_subscriptions"
_SCHEDULE = "rating.schedule"
_SUBSCRIPTIONS, _PLANS = "rating.subscriptions", "rating.plan_versions"

Span = tuple[datetime, datetime]


def mark(tx: Any, subscription: Subscription, span: Span | None) -> None:
    """Have `subscription` rated again where `span` says, or everywhere."""
    shard = shard_of(subscription.tenant)
    tx.write(MARKS, tx.next_value(MARKS), (subscription.id, shard, span))


async def mark_usage(tx: Any, rollups: Sequence[Rollup]) -> None:
    if not rollups:
        return
    await tx.statement("work: mark usage")
    used: dict[str, Span] = {}
    subscriptions = dict(tx.scan(_SUBSCRIPTIONS))
    for rollup in rollups:
        since, until = concerned(rollup)
        for one in subscriptions.values():
            for plan, version, start, end in plan_spans(one.timeline):
                units = tx.read(_PLANS, (plan, version)).units
                if one.tenant != rollup.tenant or rollup.meter not in units:
                    continue
                if start < until and (end is None or end > since):
                    first, last = used.get(one.id, (since, until))
                    used[one.id] = (min(first, since), max(last, until))
    for id, span in used.items():
        mark(tx, subscriptions[id], span)


async def take(
    tx: Any, partition: int, partitions: int, now: datetime, limit: int
) -> tuple[dict[str, Due], bool]:
    await tx.statement("work: take marks")
    marks = [
        (number, subscription, span)
        for number, (subscription, shard, span) in sorted(tx.scan(MARKS))
        if shard % partitions == partition
    ]
    chosen = list(dict.fromkeys(subscription for _, subscription, _ in marks))[:limit]
    due: dict[str, Due] = {}
    for number, subscription, span in marks:
        if subscription not in chosen:
            continue
        tx.remove(MARKS, number)
        entry = due.setdefault(subscription, Due(spans=[]))
        if span is None:
            entry.spans = None
        elif entry.spans is not None:
            entry.spans.append(span)
    whole = len(due) < limit
    await tx.statement("work: look at the schedule")
    begun = sorted(
        (at, subscription)
        for subscription, (shard, at) in tx.scan(_SCHEDULE)
        if at <= now and shard % partitions == partition
    )[:limit]
    for subscription in [*due, *(subscription for _, subscription in begun)]:
        _, at = tx.read(_SCHEDULE, subscription, (0, None))
        due.setdefault(subscription, Due(spans=[])).next_period_at = at
    return due, whole and len(begun) < limit


async def reschedule(tx: Any, shards: Mapping[str, int], times: Mapping[str, datetime]) -> None:
    await tx.statement("work: reschedule")
    for subscription, shard in shards.items():
        if not 0 <= shard < SHARDS:
            raise ValueError(f"{subscription} is in shard {shard}")
        if subscription in times:
            tx.write(_SCHEDULE, subscription, (shard, times[subscription]))
        else:
            tx.remove(_SCHEDULE, subscription)
