"""Simulates a draft plan over a past period: reads and rates twice, and writes nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.usage import GroupUsage, Place, Usage, UsageProjection
from rating.assess import assess
from rating.billing import PlanKey, PlanVersion, keys_of
from rating.plan_book import NoVariant, PlanBook, variant
from rating.simulation import Outcome, revenue, under
from rating.store import SCHEMA, subscriptions
from rating.store.plans import PlanRow
from rating.subscription import Subscription

BATCH = 100
"""Subscriptions that are rated before others get a turn in the process."""


@dataclass(frozen=True)
class Asked:
    """`draft` stands for all versions of the plan that it names, for the charges whose period
    begins in [start, end). `tenants`: None: all."""

    draft: PlanRow
    tenants: Sequence[str] | None
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Skipped:
    """A subscription that the draft cannot be for."""

    tenant: str
    subscription: str
    reason: str


class _Once:
    """Usage that both variants of a plan ask for is read once: the reading is most of the work."""

    def __init__(self) -> None:
        self._usage = UsageProjection(SCHEMA, days=True)
        self._known: dict[Place, Usage] = {}
        self._known_groups: dict[Place, list[GroupUsage]] = {}

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]:
        missing = [place for place in places if place not in self._known]
        found = await self._usage.usages(connection, missing)
        self._known |= dict(zip(missing, found, strict=True))
        return [self._known[place] for place in places]

    async def groups(self, connection: Any, places: Sequence[Place]) -> list[list[GroupUsage]]:
        missing = [place for place in places if place not in self._known_groups]
        found = await self._usage.groups(connection, missing)
        self._known_groups |= dict(zip(missing, found, strict=True))
        return [self._known_groups[place] for place in places]


async def simulate(
    connection: Any, book: PlanBook, asked: Asked, now: datetime
) -> tuple[list[Outcome], list[Skipped]]:
    """An outcome a subscription that was on the plan in that time.

    `connection` is in a read-only transaction that sees one state of the database throughout.
    """
    outcomes: list[Outcome] = []
    skipped: list[Skipped] = []
    drafts: dict[PlanKey, PlanVersion] = {}
    async for found in _subscriptions(connection, asked):
        plans = dict(await book.load(connection, {key for one in found for key in keys_of(one)}))
        fit: list[Subscription] = []
        for one in found:
            reason = _add_drafts(drafts, one, asked)
            if reason is None:
                fit.append(one)
            else:
                skipped.append(Skipped(one.tenant, one.id, reason))
        spans = {one.id: [(asked.start, asked.end)] for one in fit}
        usage = _Once()
        sums: list[dict[str, Any]] = []
        for variants in (plans, under(plans, drafts)):
            made = await assess(connection, usage, fit, variants, spans, now=now)
            of: dict[str, list[Any]] = {one.id: [] for one in fit}
            for charge in made:
                of[charge.subscription].append(charge)
            sums.append({id: revenue(those, asked.start, asked.end) for id, those in of.items()})
        before, after = sums
        outcomes += [
            Outcome(one.tenant, one.currency, before[one.id], after[one.id]) for one in fit
        ]
        await asyncio.sleep(0)
    return outcomes, skipped


async def _subscriptions(connection: Any, asked: Asked) -> AsyncIterator[list[Subscription]]:
    """Those that were on the plan in the time asked for, in batches."""
    if asked.tenants is not None:
        tenants = sorted(set(asked.tenants))
        for first in range(0, len(tenants), BATCH):
            found = await subscriptions.of_tenants(connection, tenants[first : first + BATCH])
            yield [one for one in found if _was_on_the_plan(one, asked)]
        return
    after = ""
    while found := await subscriptions.page(connection, None, asked.draft.plan, after, BATCH):
        yield [one for one in found if _was_on_the_plan(one, asked)]
        after = found[-1].id


def _was_on_the_plan(subscription: Subscription, asked: Asked) -> bool:
    return any(
        segment.terms.plan == asked.draft.plan
        and segment.start < asked.end
        and (segment.end is None or asked.start < segment.end)
        for segment in subscription.timeline.segments
    )


def _add_drafts(
    drafts: dict[PlanKey, PlanVersion], subscription: Subscription, asked: Asked
) -> str | None:
    """Make the draft in the variants that the subscription needs; why it cannot be, or None."""
    for key in keys_of(subscription):
        if key.plan != asked.draft.plan or key in drafts:
            continue
        # One object for all versions: moving between them is no change of the draft.
        alike = key._replace(version=asked.draft.version)
        try:
            drafts[key] = drafts[alike] = drafts.get(alike) or variant(asked.draft, alike)
        except NoVariant as error:
            return str(error)
    return None
