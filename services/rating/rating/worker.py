"""The rating stage: usage.rollups in, charges out.

A step stores the usage it read and marks the subscriptions it concerns. At most every
`rate_seconds`, a step also rates what is marked, by usage or by the API, and what begins a period
or ends a price of levels: each affected period whole, from its absolute usage. Changed charges are
written in the step's transaction and emitted after it; only then is the watermark passed on.
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
from common.periods import SLOT
from common.stream import Partition
from common.stream.watermark import WatermarkTeller
from rating import metrics
from rating.assess import assess, remembers
from rating.billing import Span, holds_levels, keys_of, next_rating
from rating.charging import changes, withdraw
from rating.plan_book import PlanBook
from rating.store import charges, subscriptions, work
from rating.store.usage import StoredUsage

EMIT_CHARGES = 1000
"""Charges are emitted again in pages of about this many after a takeover."""


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
        self.plans = PlanBook()
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
        self._usage = StoredUsage()

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
        plans = await state.plans.load(tx, {key for one in found for key in keys_of(one)})
        following = {one.id: next_rating(one, plans, now) for one in found}
        spans = {one.id: _spans(due[one.id], now, holds_levels(one, plans)) for one in found}
        made = await assess(tx, self._usage, found, plans, spans, now=now, watermark=watermark)
        await work.reschedule(
            tx,
            {one.id: shard_of(one.tenant) for one in found},
            {id: at for id, at in following.items() if at is not None},
        )
        whole = [one.id for one in found if spans[one.id] is None or remembers(one, plans)]
        return await self._write(tx, made, whole)

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


def _spans(due: work.Due, now: datetime, ending: bool) -> list[Span] | None:
    """Where something changed, and what has begun since the last time (`ending`: or has ended);
    None: anywhere."""
    if due.spans is None or due.next_period_at is None:
        return due.spans
    since = due.next_period_at - SLOT if ending else due.next_period_at
    return [*due.spans, (since, now + SLOT)]


def _remember_links(state: State, messages: Iterable[Message]) -> None:
    """Keep the newest traces of what is rated, as many as a span links to."""
    for message in messages:
        header = message.header(telemetry.TRACEPARENT)
        if header is not None:
            state.links.append(header.decode("ascii", "replace"))
