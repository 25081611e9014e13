"""The rating stage: usage.rollups in, charges out.

A step stores the usage it read and marks the subscriptions it concerns. At most every
`rate_seconds`, a step also rates what is marked, by usage or by the API, and what begins a period:
each affected period whole, from its absolute usage. Changed charges are written in the step's
transaction and emitted after it; only then is the watermark passed on.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from common import telemetry
from common.bus.types import Bus, Message, Record
from common.contracts import wire
from common.contracts.charges import Charge, charge_record
from common.contracts.rollups import Rollup
from common.contracts.topics import CHARGES, ROLLUPS, Topic, shard_of
from common.periods import Period
from common.stream import Partition
from common.stream.watermark import WatermarkTeller
from common.usage import Place, UsageProjection
from rating import metrics
from rating.charging import (
    NOTHING,
    Measured,
    PlanVersion,
    affected,
    changes,
    make_charge,
    withdraw,
)
from rating.plan import PlanPrice, read_plan
from rating.store import SCHEMA, charges, plans, subscriptions, work
from rating.subscription import Subscription

EMIT_CHARGES = 1000
"""Charges are emitted again in pages of about this many after a takeover."""


Part = tuple[Subscription, PlanVersion, Period, PlanPrice]
"""What one charge is made for."""


def present() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Effect(msgspec.Struct, frozen=True):
    """What a step committed. `complete`: everything read so far has been rated, so the watermark
    holds for the charges too."""

    charges: list[Charge] = []
    complete: bool = False


class State:
    """What the stage keeps of an owned partition; it can be lost at any time."""

    def __init__(self, inputs: int, outputs: int, emitted_version: int) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.teller = WatermarkTeller()
        self.emitted_version = emitted_version
        self.noted_version = emitted_version
        self.rated_at = 0.0
        self.plans: dict[tuple[str, int], PlanVersion] = {}
        self.links: deque[str] = deque(maxlen=telemetry.LINKS_MAX)
        """Where the usage came from lately. They stay: a charge that is only closed must still
        lead back to its usage."""


class RatingStage:
    """`Stage` over usage.rollups. `clock` gives the present, aware: periods begin by it."""

    topic: Topic = ROLLUPS
    root = False

    def __init__(
        self,
        bus: Bus,
        *,
        rate_seconds: float,
        rate_subscriptions: int,
        clock: Callable[[], datetime] = present,
    ) -> None:
        self.tick_seconds: float | None = rate_seconds
        self._bus, self._rate_seconds, self._limit = bus, rate_seconds, rate_subscriptions
        self._clock = clock
        self._usage = UsageProjection(SCHEMA)

    async def recover(self, part: Partition) -> None:
        """Emit the charges again that the owner before had written and perhaps not emitted."""
        part.state = state = State(
            inputs=await self._bus.partitions(ROLLUPS.name),
            outputs=await self._bus.partitions(CHARGES.name),
            emitted_version=await charges.emitted_version(part.connection, part.number),
        )
        while pending := await charges.unemitted(
            part.connection, part.number, state.inputs, state.emitted_version, EMIT_CHARGES
        ):
            await self._append(state, pending)
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Effect:
        state: State = part.state
        if state.emitted_version > state.noted_version:
            await charges.note_emitted(tx, part.number, state.emitted_version)
        rollups = [wire.read(Rollup, message) for message in messages]
        await self._usage.upsert(tx, rollups)
        await work.mark_usage(tx, rollups)
        _remember_links(state, messages)
        began = time.monotonic()
        if began - state.rated_at < self._rate_seconds:
            return Effect()
        effect = await self._rate(tx, part)
        state.rated_at = time.monotonic()
        metrics.RATE_SECONDS.observe(state.rated_at - began)
        return effect

    async def emit(self, part: Partition, effect: Effect) -> None:
        state: State = part.state
        # Noted in the transaction that has just been committed.
        state.noted_version = state.emitted_version
        if effect.charges:
            with telemetry.span("rate", links=state.links):
                await self._append(state, effect.charges)
        if effect.complete:
            told = state.teller.records(part, inputs=state.inputs, outputs=state.outputs)
            if told:
                await self._bus.append(CHARGES.name, told)
        part.emitted(part.next_offset)

    async def _append(self, state: State, changed: Sequence[Charge]) -> None:
        headers = telemetry.traceparent_headers()
        batches: dict[int, list[Record]] = {}
        for charge in changed:
            partition, record = charge_record(charge, state.outputs, headers)
            batches.setdefault(partition, []).append(record)
        await self._bus.append(CHARGES.name, batches)
        state.emitted_version = max(charge.version for charge in changed)

    async def _rate(self, tx: Any, part: Partition) -> Effect:
        """Rate what is due, and close what the watermark has passed."""
        state: State = part.state
        watermark_ms = part.watermark_ms
        watermark = (
            datetime.fromtimestamp(watermark_ms / 1000, UTC) if watermark_ms is not None else None
        )
        now = self._clock() if watermark is None else max(self._clock(), watermark)
        due, complete = await work.take(tx, part.number, state.inputs, now, self._limit)
        changed: dict[str, Charge] = {}
        if due:
            changed = await self._rate_due(tx, state, due, now, watermark)
            metrics.RATED.inc(len(due))
        if complete and watermark is not None:
            closed = await charges.close(tx, part.number, state.inputs, watermark)
            changed |= {charge.id: charge for charge in closed}
            metrics.CHARGES.labels("closed").inc(len(closed))
        if not complete:
            metrics.DEFERRED.inc()
        return Effect(sorted(changed.values(), key=lambda charge: charge.version), complete)

    async def _rate_due(
        self,
        tx: Any,
        state: State,
        due: Mapping[str, work.Due],
        now: datetime,
        watermark: datetime | None,
    ) -> dict[str, Charge]:
        found = await subscriptions.many(tx, list(due))
        await self._load_plans(tx, state, found)
        times: dict[str, datetime] = {}
        parts: list[Part] = []
        for subscription in found:
            periods = subscription.periods(now)
            following = periods[-1].end if periods else subscription.start
            if subscription.end is None or following < subscription.end:
                times[subscription.id] = following
            plan = state.plans[subscription.plan, subscription.plan_version]
            parts += [
                (subscription, plan, period, price)
                for period in _to_rate(periods, due[subscription.id])
                for price in plan.plan.prices
            ]
        measured = await self._measure(tx, parts)
        made = [
            make_charge(
                subscription,
                plan,
                price,
                period,
                measured.get(_place(subscription, period, price), NOTHING),
                closed=watermark is not None and period.end <= watermark,
            )
            for subscription, plan, period, price in parts
        ]
        await work.reschedule(tx, {one.id: shard_of(one.tenant) for one in found}, times)
        return await self._write(tx, made, [id for id, one in due.items() if one.spans is None])

    async def _measure(self, tx: Any, parts: Iterable[Part]) -> dict[Place, Measured]:
        """The usage of every metered price and period, by where it was used."""
        places = list(
            {
                _place(subscription, period, price)
                for subscription, _, period, price in parts
                if price.meter is not None
            }
        )
        usages = await self._usage.usages(tx, places)
        return {
            place: Measured(usage.quantity, usage.rows, usage.versions)
            for place, usage in zip(places, usages, strict=True)
        }

    async def _write(
        self, tx: Any, made: Sequence[Charge], whole: Sequence[str]
    ) -> dict[str, Charge]:
        """Store those of `made` that changed. Of the subscriptions in `whole` everything was
        made, so what else is known of them is withdrawn."""
        known = await charges.known(tx, [charge.id for charge in made], whole)
        ids = {charge.id for charge in made}
        gone = [withdraw(charge) for charge in known.values() if charge.id not in ids]
        changed = changes(known, [*made, *gone])
        if changed:
            version = await charges.next_version(tx)
            changed = [msgspec.structs.replace(charge, version=version) for charge in changed]
            await charges.write(tx, changed)
            metrics.CHARGES.labels("rated").inc(len(changed))
        return {charge.id: charge for charge in changed}

    async def _load_plans(self, tx: Any, state: State, found: Iterable[Subscription]) -> None:
        """Published versions never change, so they are read once."""
        wanted = {(one.plan, one.plan_version) for one in found} - state.plans.keys()
        if not wanted:
            return
        for row in await plans.versions(tx, wanted):
            plan, errors = read_plan(row.body)
            if errors:
                raise ValueError(f"plan {row.plan} version {row.version} is invalid: {errors}")
            state.plans[row.plan, row.version] = PlanVersion(row.plan, row.version, plan, row.units)


def _place(subscription: Subscription, period: Period, price: PlanPrice) -> Place:
    return subscription.tenant, price.meter or "", period.start, period.end


def _to_rate(periods: Sequence[Period], due: work.Due) -> list[Period]:
    """The periods that changed, and those that have begun since the last time."""
    if due.spans is None or due.next_period_at is None:
        if due.spans is None:
            return list(periods)
        return affected(periods, due.spans)
    begun = due.next_period_at
    changed = {period.start for period in affected(periods, due.spans)}
    return [period for period in periods if period.start >= begun or period.start in changed]


def _remember_links(state: State, messages: Iterable[Message]) -> None:
    """Keep the newest traces of what is rated, as many as a span links to."""
    for message in messages:
        header = message.header(telemetry.TRACEPARENT)
        if header is not None:
            state.links.append(header.decode("ascii", "replace"))
