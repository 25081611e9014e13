"""Looks at what a re-rating would do, and does it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.contracts.charges import Charge
from rating.assess import assess, remembers
from rating.billing import Span, keys_of
from rating.correction import Correction, correct
from rating.history import Fact
from rating.plan_book import PlanBook
from rating.ranges import Range, begun_in, reach
from rating.rerating import Repriced, repriced
from rating.simulate import Once
from rating.store import charges, subscriptions, tenants
from rating.store.usage import StoredUsage
from rating.subscription import Subscription

BATCH = 100
"""Subscriptions that are rated before others get a turn in the process."""


@dataclass(frozen=True)
class Scope:
    """The billing periods that begin in `range`, of `tenants` (None: of all that there are; with a
    correction, of those on its plan)."""

    tenants: Sequence[str] | None
    range: Range
    correction: Correction | None


@dataclass(frozen=True)
class Rerated:
    """A subscription with the facts that bring it about, and from when to when it is rated."""

    subscription: Subscription
    facts: tuple[Fact, ...]
    span: Span

    @property
    def after(self) -> Subscription:
        """With the facts."""
        made = self.subscription
        for fact in self.facts:
            made = made.with_fact(fact)
        return made

    def concerns(self, charge: Charge) -> bool:
        """Whether the charge lies in what is rated again."""
        return self.span[0] <= charge.period_from < self.span[1]


@dataclass(frozen=True)
class Examined:
    """A batch: what is rated again, and the charges that it changes. `periods`: how many billing
    periods begin in the range, also where nothing is to be done about them."""

    rerated: list[Rerated]
    lines: list[Repriced]
    periods: int


async def examine(
    tx: Any, book: PlanBook, scope: Scope, *, now: datetime, actor: str, reason: str
) -> AsyncIterator[Examined]:
    """Batch by batch what a re-rating would do; writes nothing. With the tenants locked, it is what
    `bring_about` then does. Raises `NoVariant` where a version is not sold to somebody."""
    async for found in _subscriptions(tx, scope):
        plans = await book.load(tx, {key for one in found for key in keys_of(one)})
        rerated: list[Rerated] = []
        periods = 0
        for one in found:
            begun = begun_in(one, plans, scope.range.of(one.zone), by=now)
            if not begun:
                continue
            periods += len(begun)
            made = Rerated(one, (), reach(begun))
            if scope.correction is not None:
                facts = correct(
                    one, scope.correction, made.span, now=now, actor=actor, reason=reason
                )
                if not facts:
                    continue
                made = Rerated(one, tuple(facts), made.span)
            rerated.append(made)
        yield Examined(rerated, await _lines(tx, book, rerated, now), periods)
        await asyncio.sleep(0)


async def _lines(
    tx: Any, book: PlanBook, rerated: Sequence[Rerated], now: datetime
) -> list[Repriced]:
    """The charges that change: those that are rated again, and those elsewhere that follow from
    them, since a plan may remember earlier periods."""
    after = [one.after for one in rerated]
    plans = await book.load(tx, {key for one in after for key in keys_of(one)})
    usage = Once(StoredUsage())
    spans = {one.subscription.id: [one.span] for one in rerated}
    made = await assess(tx, usage, after, plans, spans, now=now)
    remembering = [one.subscription for one in rerated if one.facts and remembers(one.after, plans)]
    before = await assess(tx, usage, remembering, plans, dict.fromkeys(spans), now=now)
    following = _differing(before, made)
    scopes = {one.subscription.id: one for one in rerated}

    def is_asked_for(charge: Charge) -> bool:
        return charge.id in following or scopes[charge.subscription].concerns(charge)

    known = await charges.known(tx, [], list(scopes))
    return repriced(
        {id: one for id, one in known.items() if is_asked_for(one)},
        [one for one in made if is_asked_for(one)],
    )


def _differing(before: Iterable[Charge], after: Iterable[Charge]) -> set[str]:
    """The ids of charges of the same subscriptions that come or go or get another amount."""
    was = {charge.id: charge.amount for charge in before}
    subscriptions_ = {charge.subscription for charge in before}
    is_now = {one.id: one.amount for one in after if one.subscription in subscriptions_}
    return {id for id in was.keys() | is_now.keys() if was.get(id) != is_now.get(id)}


async def bring_about(tx: Any, rerated: Iterable[Rerated]) -> None:
    """Record the facts, and have the worker rate what they concern; charges, and what was invoiced
    of them, follow by the same way as for any other change."""
    for one in rerated:
        if one.facts:
            await subscriptions.record(tx, one.after, one.facts)
            await tenants.touch(tx, one.subscription.tenant)
        else:
            await subscriptions.mark(tx, one.subscription, one.span)


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
