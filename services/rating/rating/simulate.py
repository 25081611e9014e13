"""Simulates a draft plan over a past period: reads and rates twice, and writes nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from common.contracts.charges import Charge
from common.usage import GroupUsage, Place, Usage
from rating.assess import Usages, assess
from rating.billing import PlanKey, Plans, PlanVersion, Span, keys_of
from rating.parts.usage import Levels
from rating.plan_book import NoVariant, PlanBook, variant
from rating.ranges import Range, begun_in, spans_of
from rating.simulation import Outcome, cut, revenue, under
from rating.store import subscriptions
from rating.store.plans import PlanRow
from rating.store.usage import StoredUsage
from rating.subscription import Subscription

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """`draft` stands for all versions of the plan that it names, in the billing periods that begin
    in `range`. `tenants`: None: all."""

    draft: PlanRow
    tenants: Sequence[str] | None
    range: Range


@dataclass(frozen=True)
class Skipped:
    """A subscription that the draft cannot be for."""

    tenant: str
    subscription: str
    reason: str


class Once:
    """Usage that both variants of a plan ask for is read once from `stored`: the reading is most of
    the work. To be asked of one state of the database, at one `now`."""

    def __init__(self, stored: Usages) -> None:
        self._stored = stored
        self._usages: dict[Place, Usage] = {}
        self._groups: dict[Place, list[GroupUsage]] = {}
        self._levels: dict[Place, Levels] = {}

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]:
        missing = [place for place in places if place not in self._usages]
        found = await self._stored.usages(connection, missing)
        return _kept(self._usages, places, missing, found)

    async def groups(self, connection: Any, places: Sequence[Place]) -> list[list[GroupUsage]]:
        missing = [place for place in places if place not in self._groups]
        found = await self._stored.groups(connection, missing)
        return _kept(self._groups, places, missing, found)

    async def levels(self, connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
        missing = [place for place in places if place not in self._levels]
        found = await self._stored.levels(connection, missing, now)
        return _kept(self._levels, places, missing, found)


def _kept(
    known: dict[Place, T], places: Sequence[Place], missing: Sequence[Place], found: Sequence[T]
) -> list[T]:
    """What is known of `places`, with what was `found` of those that were `missing`."""
    known |= dict(zip(missing, found, strict=True))
    return [known[place] for place in places]


async def simulate(
    connection: Any, book: PlanBook, asked: Asked, now: datetime
) -> tuple[list[Outcome], list[Skipped]]:
    """An outcome a subscription that was on the plan in a billing period that begins in the range.

    `connection` is in a read-only transaction that sees one state of the database throughout.
    """
    outcomes: list[Outcome] = []
    skipped: list[Skipped] = []
    drafts: dict[PlanKey, PlanVersion] = {}
    async for found in subscriptions.batches(connection, asked.tenants, asked.draft.plan):
        plans = dict(await book.load(connection, {key for one in found for key in keys_of(one)}))
        fit: list[Subscription] = []
        spans: dict[str, list[Span]] = {}
        for one in found:
            begun = begun_in(one, plans, asked.range.of(one.zone), by=now)
            if all(part.plan.slug != asked.draft.plan for part in begun):
                continue
            spans[one.id] = spans_of(begun)
            reason = _add_drafts(drafts, one, asked)
            if reason is None:
                fit.append(one)
            else:
                skipped.append(Skipped(one.tenant, one.id, reason))
        usage = Once(StoredUsage())
        before = await _revenues(connection, usage, fit, plans, spans, now)
        drafted = [cut(one, spans[one.id]) for one in fit]
        after = await _revenues(connection, usage, drafted, under(plans, drafts), spans, now)
        outcomes += [
            Outcome(one.tenant, one.currency, before[one.id], after[one.id]) for one in fit
        ]
        await asyncio.sleep(0)
    return outcomes, skipped


async def _revenues(
    connection: Any,
    usage: Usages,
    found: Sequence[Subscription],
    plans: Plans,
    spans: Mapping[str, Sequence[Span]],
    now: datetime,
) -> dict[str, Decimal]:
    """What each subscription owes on those plans in its spans."""
    charges: dict[str, list[Charge]] = {one.id: [] for one in found}
    for charge in await assess(connection, usage, found, plans, spans, now=now):
        charges[charge.subscription].append(charge)
    return {id: revenue(those, spans[id]) for id, those in charges.items()}


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
