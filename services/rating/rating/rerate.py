"""Looks at what a re-rating would do, and does it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.contracts.charges import Charge
from rating.assess import assess
from rating.billing import keys_of
from rating.correction import Correction, correct
from rating.history import Fact
from rating.plan_book import PlanBook
from rating.rerating import Repriced, repriced
from rating.store import charges, subscriptions, tenants
from rating.store.usage import StoredUsage
from rating.subscription import Subscription

BATCH = 100
"""Subscriptions that are rated before others get a turn in the process."""


@dataclass(frozen=True)
class Scope:
    """The billing periods that share an instant with [start, end), of `tenants` (None: of all that
    there are; with a correction, of those on its plan)."""

    tenants: Sequence[str] | None
    start: datetime
    end: datetime
    correction: Correction | None


@dataclass(frozen=True)
class Examined:
    """A batch: the facts that bring it about, by subscription, and the charges that it changes."""

    facts: list[tuple[Subscription, list[Fact]]]
    lines: list[Repriced]


async def examine(
    tx: Any, book: PlanBook, scope: Scope, *, now: datetime, actor: str, reason: str
) -> AsyncIterator[Examined]:
    """Batch by batch what a re-rating would do; writes nothing. With the tenants locked, it is what
    `bring_about` then does. Raises `NoVariant` where a version is not sold to somebody."""
    usage = StoredUsage()
    async for found in _subscriptions(tx, scope):
        facts = [
            (one, _facts(one, scope.correction, now=now, actor=actor, reason=reason))
            for one in found
        ]
        if scope.correction is not None:
            facts = [(one, added) for one, added in facts if added]
        after = [_with(one, added) for one, added in facts]
        plans = await book.load(tx, {key for one in after for key in keys_of(one)})
        spans = {one.id: [(scope.start, scope.end)] for one in after}
        made = await assess(tx, usage, after, plans, spans, now=now)
        known = await charges.known(tx, [], [one.id for one in after])
        lines = repriced(
            {id: one for id, one in known.items() if _concerns(scope, one)},
            [one for one in made if _concerns(scope, one)],
        )
        yield Examined(facts, lines)
        await asyncio.sleep(0)


async def bring_about(tx: Any, facts: Iterable[tuple[Subscription, list[Fact]]]) -> None:
    """Record the facts, and have the worker rate what they concern; charges, and what was invoiced
    of them, follow by the same way as for any other change."""
    for subscription, added in facts:
        if added:
            await subscriptions.record(tx, _with(subscription, added), added)
            await tenants.touch(tx, subscription.tenant)
        else:
            await subscriptions.mark_all(tx, subscription)


async def _subscriptions(tx: Any, scope: Scope) -> AsyncIterator[list[Subscription]]:
    plan = None if scope.correction is None else scope.correction.plan
    if scope.tenants is not None:
        keys = sorted(set(scope.tenants))
        for first in range(0, len(keys), BATCH):
            yield await subscriptions.of_tenants(tx, keys[first : first + BATCH])
        return
    after = ""
    while found := await subscriptions.page(tx, None, plan, after, BATCH):
        yield found
        after = found[-1].id


def _facts(subscription: Subscription, correction: Correction | None, **more: Any) -> list[Fact]:
    return [] if correction is None else correct(subscription, correction, **more)


def _with(subscription: Subscription, facts: Iterable[Fact]) -> Subscription:
    for fact in facts:
        subscription = subscription.with_fact(fact)
    return subscription


def _concerns(scope: Scope, charge: Charge) -> bool:
    """Whether the charge's period shares an instant with the scope. A one-off has no length."""
    if charge.period_from == charge.period_to:
        return scope.start <= charge.period_from < scope.end
    return charge.period_from < scope.end and scope.start < charge.period_to
