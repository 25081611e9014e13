"""The throttler's step: usage in, decisions out.

The owner of a partition of usage.rollups is the only one who decides for that partition's
tenants, so a decision needs no lock of its own. Three things have a tenant evaluated: new usage,
a mark (a rule or the tenant changed), and time (a window ended).
"""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from common.bus.types import Bus, Message
from common.contracts import wire
from common.contracts.decisions import Decision
from common.contracts.rollups import Rollup
from common.contracts.topics import ROLLUPS
from common.stream.processor import Partition
from common.telemetry import TRACEPARENT, span
from common.usage import UsageProjection
from throttler import metrics, store
from throttler.decide import decide, evaluate, held_by, same_meaning
from throttler.facts import Subject, gather
from throttler.rules import Rule, applicable
from throttler.windows import next_change

DUE_MAX = 500
"""Marked or timed tenants taken in one step; the rest follow in the next ones."""


def present() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class DecisionStage:
    """A stage over usage.rollups. `clock` gives the present as an aware UTC datetime."""

    topic = ROLLUPS
    root = False

    def __init__(
        self,
        bus: Bus,
        *,
        clock: Callable[[], datetime] = present,
        tick_seconds: float = 0.2,
    ) -> None:
        self.tick_seconds: float | None = tick_seconds
        self._bus, self._clock = bus, clock
        self._projection = UsageProjection(store.SCHEMA)
        self._partitions = 0
        self._rules: tuple[int, list[Rule]] = (-1, [])

    async def recover(self, part: Partition) -> None:
        """Nothing was emitted from here: decisions are published from their table."""
        self._partitions = await self._bus.partitions(ROLLUPS.name)
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> list[Decision]:
        """Take over usage, evaluate whom it concerns; returns the decisions written."""
        rollups = [wire.read(Rollup, one) for one in messages if one.value is not None]
        await self._projection.upsert(tx, rollups)
        now = self._clock()
        due = await store.take_due(tx, part.number, self._partitions, now, DUE_MAX)
        concerned = {rollup.tenant for rollup in rollups} | set(due)
        if not concerned:
            return []
        links = [one.header(TRACEPARENT) for one in messages]
        with span("throttler.decide", links=[link.decode("latin-1") for link in links if link]):
            return await self._evaluate(tx, concerned, now, _instant(part.watermark_ms))

    async def emit(self, part: Partition, effect: list[Decision]) -> None:
        """The outbox publishes; here the decisions are only counted, now that they are facts."""
        part.emitted(part.next_offset)
        for decision in effect:
            metrics.DECISIONS.labels(decision.state).inc()
            if decision.as_of is not None:
                staleness = decision.decided_at - decision.as_of
                metrics.STALENESS_SECONDS.observe(max(0.0, staleness.total_seconds()))
            for shadow in decision.shadow:
                if shadow.state != "allow":
                    metrics.SHADOW_HOLDS.labels(shadow.rule).inc()

    async def _evaluate(
        self, tx: Any, keys: Collection[str], now: datetime, as_of: datetime | None
    ) -> list[Decision]:
        rules = await self._current_rules(tx)
        tenants = await store.known_tenants(tx, keys)
        states = await store.tenant_states(tx, keys)
        current = await store.decisions_of(tx, keys)
        subjects = [
            Subject(
                key=key,
                tenant=tenants.get(key),
                rules=applicable(rules, key, tenants.get(key), now),
                held=states[key].held if key in states else frozenset(),
            )
            for key in sorted(keys)
        ]
        changed: list[Decision] = []
        left: dict[str, store.TenantState] = {}
        for subject, facts in zip(
            subjects,
            await gather(tx, self._projection, subjects, now, as_of),
            strict=True,
        ):
            decision = decide(subject.rules, facts, now)
            known = current.get(subject.key)
            # A tenant that no rule ever concerned needs no row: absent means allowed.
            if not same_meaning(decision, known) if known else bool(subject.rules):
                changed.append(decision)
            after = store.TenantState(
                next_change(subject.rules, subject.tenant, now),
                held_by(evaluate(subject.rules, facts)),
            )
            if after != states.get(subject.key):
                left[subject.key] = after
        metrics.EVALUATED.inc(len(keys))
        if left:
            await store.save_tenant_states(tx, left)
        return await store.save_decisions(tx, changed)

    async def _current_rules(self, tx: Any) -> list[Rule]:
        revision = await store.rules_revision(tx)
        if revision != self._rules[0]:
            self._rules = (revision, await store.rules_in_force(tx))
        return self._rules[1]


def _instant(watermark_ms: int | None) -> datetime | None:
    return None if watermark_ms is None else datetime.fromtimestamp(watermark_ms / 1000, UTC)
