"""The deduper: the stage that makes usage.events exact.

usage.received -> ledger, node sequences, dead events, accounting (one transaction)
               -> usage.events, at most one record an envelope and output partition
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from common import telemetry
from common.bus.types import Bus, BusError, Message, Record
from common.contracts.control import is_control, tick_record
from common.contracts.events import events_record
from common.contracts.topics import EVENTS, RECEIVED
from common.stream.position import origin_header
from common.stream.processor import Partition
from common.stream.watermark import WatermarkTeller
from ingest import metrics
from ingest.decode import arrival_of
from ingest.dedupe import (
    Arrival,
    Tally,
    claims,
    decide,
    decided_fresh,
    decided_places,
    first_replays,
    raws_by_output,
)
from ingest.ledger import Ledger
from ingest.placement import place_batches
from ingest.store import accounting, dead_events, nodes

RECOVER_MESSAGES = 200
RECOVER_SECONDS = 30.0
"""How long a takeover waits for records that are known to be in the log."""

Outputs = dict[int, list[Record]]


class _Effect(msgspec.Struct):
    """What a committed step has to emit. `idle`: there was no data in it."""

    outputs: Outputs
    tally: Tally
    idle: bool


class _State:
    """Of one owned partition."""

    def __init__(self) -> None:
        self.teller = WatermarkTeller()
        self.busy_at = time.monotonic()


class Deduper:
    """Stage over usage.received.

    `outputs`: partitions of usage.events; `inputs`: of usage.received. `tick_seconds`: an idle
    partition gets a tick this often, so that the watermark moves with the broker's clock.
    """

    topic = RECEIVED
    root = True

    def __init__(
        self, *, bus: Bus, ledger: Ledger, inputs: int, outputs: int, tick_seconds: float = 1.0
    ) -> None:
        self._bus, self._ledger = bus, ledger
        self._inputs, self._outputs = inputs, outputs
        self.tick_seconds: float | None = tick_seconds
        self._every_seconds = tick_seconds

    async def recover(self, part: Partition) -> None:
        """Emit again what was committed since `emitted_offset`: the same records, because the
        ledger and the sequences say whose copy was the first."""
        part.state = _State()
        at, end = part.emitted_offset, part.next_offset
        if at == end:
            return
        reader = await self._bus.reader(RECEIVED.name, part.number, at)
        try:
            while at < end:
                messages = await reader.read(min(RECOVER_MESSAGES, end - at), RECOVER_SECONDS)
                if not messages:
                    raise BusError(f"{RECEIVED.name}/{part.number}: cannot read {at} to {end}")
                data = [arrival_of(m) for m in messages if not is_control(m)]
                fresh = await self._decided(part, data)
                await self._bus.append(EVENTS.name, self._records(part.number, data, fresh))
                at = messages[-1].offset + 1
                part.emitted(at)
        finally:
            await reader.close()

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> _Effect:
        """Decide each element once, and write down what was decided."""
        if not messages:
            return _Effect({}, Tally(), idle=True)
        arrivals = [arrival_of(message) for message in messages]
        links = [a.traceparent.decode("ascii", "replace") for a in arrivals if a.traceparent]
        with telemetry.span("ingest.dedupe", links=links):
            arrivals = first_replays(arrivals, await self._replaying(tx, arrivals))
            places = await place_batches(tx, part.number, arrivals)
            wanted = claims(arrivals, places)
            judged = await self._ledger.admit(tx, part.number, wanted)
            decision = decide(arrivals, places, wanted, judged)
            if decision.dead:
                await dead_events.park(tx, part.number, decision.dead)
            if decision.replays:
                await dead_events.close_replays(tx, decision.replays)
            await accounting.add(tx, part.number, decision.tally)
        outputs = self._records(part.number, arrivals, decision.fresh)
        return _Effect(outputs, decision.tally, idle=False)

    async def emit(self, part: Partition, effect: _Effect) -> None:
        """Append the fresh events, then the watermark that covers them."""
        state: _State = part.state
        outputs = effect.outputs
        told = state.teller.records(part, inputs=self._inputs, outputs=self._outputs)
        for output, records in told.items():
            outputs.setdefault(output, []).extend(records)
        if outputs:
            await self._bus.append(EVENTS.name, outputs)
        part.emitted(part.next_offset)
        metrics.DEDUPED.labels("counted").inc(effect.tally.counted)
        metrics.DEDUPED.labels("duplicate").inc(effect.tally.duplicates)
        metrics.DEDUPED.labels("parked").inc(max(0, effect.tally.parked))
        await self._tick(part, state, idle=effect.idle)

    async def _tick(self, part: Partition, state: _State, *, idle: bool) -> None:
        now = time.monotonic()
        if idle and now - state.busy_at < self._every_seconds:
            return
        state.busy_at = now
        if idle:
            await self._bus.append(RECEIVED.name, {part.number: [tick_record()]})

    async def _replaying(self, tx: Any, arrivals: Sequence[Arrival]) -> set[int]:
        ids = [a.envelope.replay_of for a in arrivals if a.envelope.replay_of is not None]
        return await dead_events.lock_replaying(tx, ids) if ids else set()

    async def _decided(self, part: Partition, arrivals: Sequence[Arrival]) -> list[Sequence[int]]:
        """The numbers of the fresh events of arrivals that were decided before."""
        if not arrivals:
            return []
        async with part.connection.transaction():
            taken = await nodes.taken_from(
                part.connection, part.number, arrivals[0].offset, arrivals[-1].offset + 1
            )
            places = [decided_places(a, taken.get(a.offset, ())) for a in arrivals]
            wanted = claims(arrivals, places)
            held = await self._ledger.decided(part.connection, part.number, wanted)
        numbers = wanted.numbers.tolist()
        return [
            decided_fresh(
                arrival, what, {n for n, own in zip(numbers[a:b], held[a:b], strict=True) if own}
            )
            for arrival, what, (a, b) in zip(arrivals, places, wanted.spans, strict=True)
        ]

    def _records(
        self, partition: int, arrivals: Sequence[Arrival], fresh: Sequence[Sequence[int]]
    ) -> Outputs:
        """The records of fresh events, which are named by their numbers; the same for the same
        events, however often it is asked."""
        outputs: Outputs = {}
        for arrival, numbers in zip(arrivals, fresh, strict=True):
            raws = raws_by_output(arrival.envelope.events, numbers, self._outputs)
            for output in sorted(raws):
                outputs.setdefault(output, []).append(
                    events_record(
                        arrival.envelope.key,
                        raws[output],
                        origin=origin_header(partition, arrival.offset),
                        stamped_at_ms=arrival.envelope.received_at_ms,
                        traceparent=arrival.traceparent,
                    )
                )
        return outputs
