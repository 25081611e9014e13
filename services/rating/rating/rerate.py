"""Looks at what a re-rating would do, and does it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.contracts.charges import Charge
from rating.assess import assess, remembers
from rating.billing import Span, keys_of
from rating.correction import Correction, correct, with_facts
from rating.history import Fact
from rating.plan_book import PlanBook
from rating.ranges import Range, begun_in, lies_in, spans_of
from rating.rerating import Repriced, repriced
from rating.simulate import Once
from rating.store import charges, subscriptions, tenants
from rating.store.usage import StoredUsage
from rating.subscription import LATEST, Subscription


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
    spans: list[Span]

    @property
    def after(self) -> Subscription:
        """With the facts."""
        return with_facts(self.subscription, self.facts)

    @property
    def following(self) -> Span:
        """All that can change: what is rated, and the time after."""
        return self.spans[0][0], LATEST


@dataclass(frozen=True)
class Examined:
    """A batch: what is rated again, and the charges that it changes. `periods`: how many parts of
    billing periods begin in the range, also where nothing is to be done about them."""

    rerated: list[Rerated]
    lines: list[Repriced]
    periods: int


async def examine(
    tx: Any,
    book: PlanBook,
    scope: Scope,
    *,
    by: datetime,
    now: datetime,
    actor: str,
    reason: str,
) -> AsyncIterator[Examined]:
    """Batch by batch what a re-rating of the billing periods that have begun `by` would do; writes
    nothing. With the tenants locked, it is what `bring_about` then does. Raises `NoVariant` where a
    version is not sold to somebody."""
    plan = None if scope.correction is None else scope.correction.plan
    async for found in subscriptions.batches(tx, scope.tenants, plan):
        plans = await book.load(tx, {key for one in found for key in keys_of(one)})
        rerated: list[Rerated] = []
        periods = 0
        for one in found:
            begun = begun_in(one, plans, scope.range.of(one.zone), by=by)
            if scope.correction is not None:
                begun = [part for part in begun if part.plan.slug == scope.correction.plan]
            periods += len(begun)
            spans = spans_of(begun)
            facts: list[Fact] = []
            if scope.correction is not None:
                facts = correct(one, scope.correction, spans, now=now, actor=actor, reason=reason)
            if spans and (facts or scope.correction is None):
                rerated.append(Rerated(one, tuple(facts), spans))
        yield Examined(rerated, await _lines(tx, book, rerated, now), periods)
        await asyncio.sleep(0)


async def _lines(
    tx: Any, book: PlanBook, rerated: Sequence[Rerated], now: datetime
) -> list[Repriced]:
    """The charges that change: those that are rated again, and those of later periods that follow
    from them. Other versions may have other billing periods, and a plan may remember earlier ones.
    """
    histories = [history for one in rerated for history in (one.subscription, one.after)]
    plans = await book.load(tx, {key for history in histories for key in keys_of(history)})
    spans = {
        one.subscription.id: [one.following]
        if one.facts or remembers(one.after, plans)
        else one.spans
        for one in rerated
    }
    usage = Once(StoredUsage())
    made = await assess(tx, usage, [one.after for one in rerated], plans, spans, now=now)
    corrected = [one.subscription for one in rerated if one.facts]
    before = await assess(tx, usage, corrected, plans, spans, now=now)
    differing = _differing(before, made)
    rated = {
        one.subscription.id: one.spans if one.facts else spans[one.subscription.id]
        for one in rerated
    }

    def is_asked_for(charge: Charge) -> bool:
        return charge.id in differing or lies_in(charge.period_from, rated[charge.subscription])

    known = await charges.known(tx, [], list(spans))
    return repriced(
        {id: one for id, one in known.items() if is_asked_for(one)},
        [one for one in made if is_asked_for(one)],
    )


def _differing(before: Sequence[Charge], after: Iterable[Charge]) -> set[str]:
    """The ids of charges of the same subscriptions that come or go or get another amount."""
    was = {charge.id: charge.amount for charge in before}
    those = {charge.subscription for charge in before}
    is_now = {one.id: one.amount for one in after if one.subscription in those}
    return {id for id in was.keys() | is_now.keys() if was.get(id) != is_now.get(id)}


async def bring_about(tx: Any, rerated: Iterable[Rerated]) -> None:
    """Record the facts, and have the worker rate what they concern; charges, and what was invoiced
    of them, follow by the same way as for any other change."""
    for one in rerated:
        if one.facts:
            await subscriptions.record(tx, one.after, one.facts)
            await tenants.touch(tx, one.subscription.tenant)
        else:
            for span in one.spans:
                await subscriptions.mark(tx, one.subscription, span)
