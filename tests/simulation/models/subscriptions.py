"""`rating.store.subscriptions` and `.plans`: dicts by id."""

from collections.abc import Iterable, Sequence
from typing import Any

from rating.history import Fact
from rating.store.plans import PlanRow
from rating.subscription import Subscription
from tests.simulation.models import work

SUBSCRIPTIONS = "rating.subscriptions"
PLANS = "rating.plan_versions"


async def many(connection: Any, ids: Sequence[str]) -> list[Subscription]:
    await connection.statement("subscriptions: many")
    found = (connection.read(SUBSCRIPTIONS, id) for id in sorted(ids))
    return [subscription for subscription in found if subscription is not None]


async def add(tx: Any, subscription: Subscription) -> None:
    await record(tx, subscription, subscription.facts)


async def record(tx: Any, subscription: Subscription, facts: Iterable[Fact]) -> None:
    await tx.statement("subscriptions: record")
    known = tx.read(SUBSCRIPTIONS, subscription.id)
    revisions = [fact.revision for fact in facts]
    if known is not None and min(revisions) <= known.revision:
        raise ValueError(f"{subscription.id} has facts of its revisions {revisions} already")
    tx.write(SUBSCRIPTIONS, subscription.id, subscription)
    await tx.statement("subscriptions: mark")
    work.mark(tx, subscription, None)


async def versions(connection: Any, wanted: Iterable[tuple[str, int]]) -> list[PlanRow]:
    """`rating.store.plans.versions`."""
    await connection.statement("plans: versions")
    found = (connection.read(PLANS, key) for key in wanted)
    return [row for row in found if row is not None]
