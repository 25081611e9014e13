"""The aggregator's step: events of one partition become rollups of one shard.

Version of a row: the offset up to which its shard had read when the row last changed, or one more
than the last version where a backfill changes rows while nothing new comes in. It only grows.
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aggregator import metrics
from aggregator.backfill import BackfillReader, Chunk, timed_events
from aggregator.changed import Changes
from aggregator.compile import CompiledMeter, Plan, compile_meters
from aggregator.fold import Folded, SeriesKey, fold
from aggregator.publish import publish_changes, publish_stored
from aggregator.store import backfills, meters, rollups, unreadable
from aggregator.store.backfills import Backfill
from common.bus.types import Bus, Message
from common.contracts.topics import EVENTS, ROLLUPS
from common.stream import Fenced, Partition
from common.stream.watermark import WatermarkTeller
from common.telemetry import LINKS_MAX, TRACEPARENT, span, traceparent_headers

log = logging.getLogger(__name__)

SERIES_CACHED_MAX = 200_000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class ShardState:
    """What the owner of a shard keeps in memory; it dies with the claim, as on any rollback.

    next_offset      where the next step begins.
    version          of the last change; stored_versions is what the database has.
    emitted_version  published up to here.
    changes          what was written after it.
    newest_hours     by series, the newest hour written since the claim: those before are folded.
    """

    next_offset: int
    version: int
    emitted_version: int
    stored_versions: tuple[int, int]
    changes: Changes
    revision: int = -1
    plan: Plan = field(default_factory=dict)
    meters: dict[str, CompiledMeter] = field(default_factory=dict)
    series: dict[SeriesKey, int] = field(default_factory=dict)
    newest_hours: dict[int, datetime] = field(default_factory=dict)
    emitted_at: float = 0.0
    links: list[str] = field(default_factory=list)
    teller: WatermarkTeller = field(default_factory=WatermarkTeller)
    backfill: Backfill | None = None
    backfill_plan: Plan = field(default_factory=dict)
    reader: BackfillReader | None = None
    chunk: Chunk | None = None


class AggregatorStage:
    """`Stage` over usage.events."""

    topic = EVENTS
    root = False

    def __init__(
        self, bus: Bus, *, emit_seconds: float = 0.5, backfill_events: int = 5_000
    ) -> None:
        self._bus = bus
        self._emit_seconds, self._backfill_events = emit_seconds, backfill_events
        self.tick_seconds: float | None = emit_seconds
        self._inputs = self._outputs = 0
        self._readers: dict[int, BackfillReader] = {}

    async def recover(self, part: Partition) -> None:
        """Publish again what may not have been published."""
        if not self._outputs:
            self._inputs = await self._bus.partitions(EVENTS.name)
            self._outputs = await self._bus.partitions(ROLLUPS.name)
        await self._drop_reader(part.number)
        await rollups.prepare(part.connection)
        versions = await rollups.shard_versions(part.connection, part.number)
        state = part.state = ShardState(
            part.next_offset, *versions, stored_versions=versions, changes=Changes(part.number)
        )
        self._start_backfill(state, await backfills.open_backfill(part.connection, part.number))
        if state.version > state.emitted_version:
            await publish_stored(
                self._bus,
                part,
                after_version=state.emitted_version,
                outputs=self._outputs,
                headers=traceparent_headers(),
            )
            state.emitted_version = state.version
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
        """Fold, and write what came of it."""
        state: ShardState = part.state
        links = _traceparents(messages)
        state.links = (state.links + links)[-LINKS_MAX:]
        with span("aggregator.step", links=links):
            await self._look_at_meters(tx, part, state)
            events = timed_events(messages)
            folded = fold(state.plan, events)
            metrics.EVENTS.inc(len(events))
            metrics.UNMETERED.inc(folded.unmetered)
            await self._fold_chunk(tx, state, folded)
            if not folded.is_empty:
                await self._write(tx, part, state, folded)
            versions = (state.version, state.emitted_version)
            if versions != state.stored_versions:
                await rollups.set_shard_versions(tx, part.number, *versions)
                state.stored_versions = versions
        state.next_offset = part.next_offset

    async def emit(self, part: Partition, effect: Any) -> None:
        """Publish at most every `emit_seconds`; the watermark follows the data it covers."""
        state: ShardState = part.state
        is_due = time.monotonic() - state.emitted_at >= self._emit_seconds
        if state.version > state.emitted_version and is_due:
            await self._publish(part, state)
        if state.version == state.emitted_version:
            part.emitted(part.next_offset)
            told = state.teller.records(part, inputs=self._inputs, outputs=self._outputs)
            if told:
                await self._bus.append(ROLLUPS.name, told)
        await self._read_ahead(part.number, state)

    async def close(self) -> None:
        """Release the readers of backfills."""
        for number in list(self._readers):
            await self._drop_reader(number)

    async def _look_at_meters(self, tx: Any, part: Partition, state: ShardState) -> None:
        """Take up a changed catalog. A meter that is new to the shard is folded live from where
        this step begins; what lies before is its backfill's."""
        revision = await meters.revision(tx)
        if revision == state.revision:
            return
        known = await meters.meters(tx)
        state.plan, state.meters = compile_meters(known), {}
        for compiled in (one for many in state.plan.values() for one in many):
            state.meters[compiled.meter.slug] = compiled
        state.revision = revision
        slugs = [meter.slug for meter in known]
        begun = await backfills.begin(tx, part.number, slugs, state.next_offset)
        if begun and state.backfill is None:
            self._start_backfill(state, await backfills.open_backfill(tx, part.number))

    async def _fold_chunk(self, tx: Any, state: ShardState, folded: Folded) -> None:
        """Fold the chunk that was read ahead, and move the backfill past it."""
        backfill, chunk, reader = state.backfill, state.chunk, state.reader
        if backfill is None or chunk is None or reader is None:
            return
        done = chunk.position >= backfill.from_offset
        if not await backfills.move(tx, backfill, chunk.position, chunk.seen, done):
            raise Fenced(f"backfill {backfill.id} is not at {backfill.position} any more")
        fold(state.backfill_plan, chunk.events, into=folded)
        metrics.BACKFILLED.inc(len(chunk.events))
        left = backfill.from_offset - chunk.position
        metrics.BACKFILL_LEFT.labels(str(backfill.shard)).set(left)
        state.chunk = None
        state.backfill = backfill._replace(position=chunk.position, seen=chunk.seen)
        reader.committed(state.backfill)
        if done:
            log.info("backfill %d of shard %d is done", backfill.id, backfill.shard)
            following = await backfills.open_backfill(tx, backfill.shard)
            self._start_backfill(state, following)

    async def _write(self, tx: Any, part: Partition, state: ShardState, folded: Folded) -> None:
        missing = [key for key in folded.series if key not in state.series]
        if missing:
            if len(state.series) > SERIES_CACHED_MAX:
                state.series, state.newest_hours = {}, {}
                missing = list(folded.series)
            state.series |= await rollups.series_ids(tx, missing, state.meters)
        if folded.series:
            state.version = max(state.version + 1, part.next_offset)
            written = await rollups.write(
                tx,
                shard=part.number,
                version=state.version,
                series=folded.series,
                ids=state.series,
            )
            keys = {state.series[key]: key for key in folded.series}
            state.changes.add(written, state.version, keys)
            for table, rows in written.rows.items():
                metrics.ROWS.labels(table).inc(rows)
            await self._fold_days(tx, part, state, written.hours)
        if folded.unreadable:
            await unreadable.note(tx, part.number, folded.unreadable, state.meters)
            for item in folded.unreadable:
                metrics.UNREADABLE.labels(item.reason.name).inc()

    async def _fold_days(
        self, tx: Any, part: Partition, state: ShardState, hours: list[rollups.Row]
    ) -> None:
        """Where a series has begun an hour, those before are over and go into their days."""
        begun: dict[int, datetime] = {}
        for row in hours:
            if row.bucket > state.newest_hours.get(row.series, _NEVER):
                state.newest_hours[row.series] = begun[row.series] = row.bucket
        if begun:
            days = await rollups.fold_days(
                tx, shard=part.number, version=state.version, begun=begun.items()
            )
            metrics.ROWS.labels("days").inc(days)

    async def _publish(self, part: Partition, state: ShardState) -> None:
        with span("aggregator.publish", links=state.links):
            await publish_changes(
                self._bus,
                state.changes.pages(state.meters),
                outputs=self._outputs,
                headers=traceparent_headers(),
            )
        state.changes = Changes(part.number)
        state.emitted_version = state.version
        state.emitted_at, state.links = time.monotonic(), []

    def _start_backfill(self, state: ShardState, backfill: Backfill | None) -> None:
        state.backfill, state.chunk, state.reader = backfill, None, None
        if backfill is not None:
            state.backfill_plan = compile_meters(backfill.meters)
            state.reader = BackfillReader(self._bus, backfill, self._backfill_events)

    async def _read_ahead(self, shard: int, state: ShardState) -> None:
        """Fetch the next chunk of a backfill, outside of any transaction; close the reader of
        one that is done."""
        used = self._readers.get(shard)
        if used is not state.reader:
            await self._drop_reader(shard)
        if state.reader is not None and state.chunk is None:
            self._readers[shard] = state.reader
            state.chunk = await state.reader.next_chunk()

    async def _drop_reader(self, shard: int) -> None:
        reader = self._readers.pop(shard, None)
        if reader is not None:
            await reader.close()


def _traceparents(messages: list[Message]) -> list[str]:
    """The spans that the records came from, a bounded number."""
    found = []
    for message in messages:
        value = message.header(TRACEPARENT)
        if value is not None:
            found.append(value.decode("ascii", "replace"))
            if len(found) == LINKS_MAX:
                break
    return found
