"""A run: processes of every stage, whoever sends, whoever operates, and the log between them."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import aggregator.store.meters
import ingest.routes.dead_events
import rating.store.subscriptions
from aggregator.worker import AggregatorStage
from common.bus.memory import MemoryBus
from common.contracts.control import is_control
from common.contracts.received import count_of
from common.contracts.topics import EVENTS, RECEIVED, ROLLUPS, Topic
from common.stream import Position, Processor, Stage
from common.stream.memory import MemoryProgress, MemorySession, MemoryStore
from ingest.account import take_account
from ingest.backlog import Backlog
from ingest.intake import Intake
from ingest.ledger import Ledger
from ingest.packed.ledger import PackedLedger
from ingest.worker import Deduper
from rating.changes import effective_cut, effective_end, new_fact
from rating.history import Kind
from rating.subscription import Subscription
from rating.worker import RatingStage
from tests.simulation.models import dead_events, nodes, work
from tests.simulation.models.ledger import ModelLedger
from tests.simulation.pipeline import catalog
from tests.simulation.pipeline.faults import Faults
from tests.simulation.pipeline.front import APPEND_SECONDS, FAILED, Api, Client, Node
from tests.simulation.pipeline.scenario import (
    BASE_MS,
    FEED_SECONDS,
    IDLE_SECONDS,
    LEASE_SECONDS,
    NODES,
    PATIENCE_SECONDS,
    Action,
    Scenario,
    rfc3339,
)
from tests.simulation.pipeline.truth import Elements
from tests.simulation.process import Log, Process, ProcessBus

PARTITIONS = 2
RESTART_SECONDS = 0.4
CLOSE_SECONDS = 1.2
"""Within this time charges are closed behind a watermark."""
LEDGERS: dict[str, Callable[[], Ledger]] = {
    "packed": PackedLedger,
    "packed without room": lambda: PackedLedger(memory_bytes=1, cache_bytes=1, trim_seconds=0),
    "plain": ModelLedger,
}
STAGES: tuple[Topic, ...] = (RECEIVED, EVENTS, ROLLUPS)


class World:
    """`problems`: what was found wrong while it ran. `commits`: every committed position. `seals`:
    every (node, epoch, sealed through, received) that was committed, in Unix milliseconds."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.faults = Faults(scenario)
        self.problems: list[str] = []
        self.commits: list[Position] = []
        self.seals: set[tuple[str, str, int, int]] = set()
        self.acknowledged = 0
        self.forgotten: set[tuple[str, str, int]] = set()
        self.is_settled = False
        self._ending = False

    async def run(self) -> None:
        """Feed, let break, wait until everything is quiet, and stop."""
        self.clock = asyncio.get_running_loop().time
        self.bus = MemoryBus(partitions=PARTITIONS, clock_ms=lambda: self.clock_ms("broker"))
        self.log = Log(self.bus)
        self.store = MemoryStore(
            clock=self.clock, idle_seconds=IDLE_SECONDS, on_commit=self._look_at_commit
        )
        catalog.fill(self.store)
        self.elements = Elements(self.bus)
        self.apis = [Api(self, f"api-{number}") for number in range(2)]
        self.nodes = {name: Node(self, name) for name in NODES}
        self.slots: dict[str, Slot] = {}
        for stage, count in self.scenario.workers.items():
            for number in range(count):
                slot = Slot(self, stage, number)
                self.slots[slot.name] = slot
        living = [asyncio.create_task(slot.live()) for slot in self.slots.values()]
        beside = [asyncio.create_task(node.ship()) for node in self.nodes.values()]
        beside.append(asyncio.create_task(self._audit()))
        doings = [asyncio.create_task(self._do(action)) for action in self.scenario.actions]
        await self._settle(doings)
        self._ending = True
        for task in [*beside, *doings]:
            task.cancel()
        await asyncio.gather(*beside, *doings, return_exceptions=True)
        for slot in self.slots.values():
            slot.stop()
        _, running = await asyncio.wait(living, timeout=10)
        if running:
            self.problems.append("a worker did not stop")
        await self._take_account()

    def clock_ms(self, host: str) -> int:
        """The clock of a host, Unix milliseconds."""
        ahead = self.scenario.skews.get(host, 0.0)
        return BASE_MS + int((self.clock() + ahead) * 1000)

    def now(self, host: str = "") -> datetime:
        return datetime.fromtimestamp(self.clock_ms(host) / 1000, UTC)

    def rfc3339(self, at_ms: int) -> str:
        return rfc3339(datetime.fromtimestamp(at_ms / 1000, UTC))

    def process(self, slot: str, generation: int) -> Process:
        """A new process in a slot."""
        return Process(
            slot,
            random=Random(f"{self.scenario.seed} {slot} {generation}"),
            decide=lambda process, point: self.faults.at(slot, point, self.clock()),
        )

    def connection(self, gate: Any = None) -> Any:
        """A database connection of somebody who is no stage."""
        return MemorySession(self.store, gate or _pass).connection

    @property
    def is_ending(self) -> bool:
        return self._ending

    async def _do(self, action: Action) -> None:
        await asyncio.sleep(action.at)
        match action.what:
            case "posts":
                await Client(self, f"client {action.at}").post(action.about)
            case "sees" | "is given":
                self.nodes[action.who].see(action.about, own=action.what == "sees")
            case "is restored from an old disk":
                self.nodes[action.who].restore()
            case "stops for a while":
                slot = self.slots.get(action.who)
                if slot is not None:
                    await slot.rest(action.about)
            case "defines a meter":
                await self._until_done(self._define_meter)
            case "replays dead events":
                await self._replay()
            case _:
                await self._until_done(lambda: self._subscribe(action))

    async def _until_done(self, doing: Callable[[], Any]) -> None:
        while True:
            try:
                await doing()
            except FAILED:
                await asyncio.sleep(0.1)
            else:
                return

    async def _define_meter(self) -> None:
        async with self.connection().transaction() as tx:
            revision = await aggregator.store.meters.lock(tx)
            await aggregator.store.meters.put(tx, catalog.meter_at(catalog.LATER, revision))

    async def _subscribe(self, action: Action) -> None:
        store = rating.store.subscriptions
        now = self.now("rating-0")
        async with self.connection().transaction() as tx:
            found = await store.many(tx, [f"s-{action.who}"])
            if not found:
                start = now - timedelta(days=3)
                one = catalog.subscription(action.who, start.replace(second=0, microsecond=0))
                await store.add(tx, one)
            elif action.what == "is billed now":
                _, cut = effective_cut(found[0], catalog.plans(found[0]), now, now)
                await self._record(tx, found[0], "cut", cut, now)
            elif action.what == "ends the subscription":
                await self._record(tx, found[0], "end", effective_end(found[0], now), now)

    async def _record(
        self, tx: Any, one: Subscription, kind: Kind, at: datetime | None, now: datetime
    ) -> None:
        if at is not None:
            fact = new_fact(one, kind, at, {}, now=now)
            await rating.store.subscriptions.record(tx, one.with_fact(fact), [fact])

    async def _replay(self) -> None:
        """The operator brings back whatever may be brought back, through an API process."""
        for dead_id, row in list(self.store.tables[dead_events.TABLE].items()):
            if row["state"] not in ("open", "replaying"):
                continue
            api = self.apis[dead_id % len(self.apis)]
            for _ in range(2):  # the operator is impatient
                state = SimpleNamespace(
                    pool=self.connection(api.process.gate),
                    intake=Intake(ProcessBus(api.process, self.log), APPEND_SECONDS),
                )
                request: Any = SimpleNamespace(app=SimpleNamespace(state=state))
                with contextlib.suppress(*FAILED):
                    await ingest.routes.dead_events.replay(request, dead_id)

    async def _audit(self) -> None:
        while True:
            await asyncio.sleep(0.7)
            await self._take_account()

    async def _take_account(self) -> None:
        """The accounting as the API gives it, beside a count of the log."""
        before = self.elements.count()
        account = await take_account(self.connection(), Backlog(self.bus))
        after = self.elements.count()
        parts = account.counted + account.duplicates + account.parked + account.pending
        if account.received != parts or not before <= account.received <= after:
            self.problems.append(f"accounting at {self.clock():.2f}: {account}, log {before}")

    def _look_at_commit(self, position: Position) -> None:
        self.commits.append(position)
        if position.topic != RECEIVED.name:
            return
        for (node, epoch), seen in self.store.tables[nodes.PROGRESS].items():
            if seen.sealed_through_ms is not None:
                self.seals.add((node, epoch, seen.sealed_through_ms, seen.sealed_received_ms))
        tally = self.store.tables["ingest.accounting"].get(position.partition)
        received = self.elements.below(position.partition, position.next_offset)
        if (tally.received if tally else 0) != received:
            self.problems.append(f"{position.partition}: {tally} of {received} at a commit")
        tallies = self.store.tables["ingest.accounting"].values()
        rows = self.store.tables[dead_events.TABLE].values()
        listed = sum(row["state"] in ("open", "replaying", "discarded") for row in rows)
        parked = sum(tally.parked for tally in tallies)
        if listed != parked:
            self.problems.append(f"{parked} parked, {listed} listed at a commit")

    async def _settle(self, doings: list[asyncio.Task[None]]) -> None:
        await asyncio.sleep(FEED_SECONDS)
        deadline = self.clock() + PATIENCE_SECONDS
        done_ms = None
        while self.clock() < deadline:
            await asyncio.sleep(0.25)
            if done_ms is None:
                if all(task.done() for task in doings) and self._is_sent():
                    done_ms = self.clock_ms("broker")
            elif self._is_quiet(done_ms):
                await asyncio.sleep(CLOSE_SECONDS)
                self.is_settled = True
                break
        for task in doings:
            if task.done() and task.exception() is not None:
                raise task.exception() or AssertionError

    def _is_sent(self) -> bool:
        under_way = self.store.under_way or not self.log.is_quiet
        return not under_way and all(node.is_quiet for node in self.nodes.values())

    def _is_quiet(self, after_ms: int) -> bool:
        """Whether everything has taken effect everywhere, and every watermark says so."""
        for topic in STAGES:
            for partition in range(PARTITIONS):
                position = self.store.position(topic.name, partition)
                if position is None or (position.watermark_ms or 0) <= after_ms:
                    return False
                end = self._data_end(topic.name, partition)
                if position.next_offset < end or position.emitted_offset < end:
                    return False
        tables = self.store.tables
        backfilled = all(done for _, done in tables["aggregator.backfills"].values())
        published = all(v == emitted for v, emitted in tables["aggregator.shards"].values())
        return backfilled and published and not tables[work.MARKS]

    def _data_end(self, topic: str, partition: int) -> int:
        """Behind the last record that holds usage."""
        for message in reversed(self.bus.messages(topic, partition)):
            if is_control(message) or (topic == RECEIVED.name and count_of(message) == 0):
                continue
            return message.offset + 1
        return 0


class Slot:
    """Where a process of a stage runs, and is started again when it ends."""

    def __init__(self, world: World, stage: str, number: int) -> None:
        self.name = f"{stage}-{number}"
        self._world, self._stage = world, stage
        self._processor: Processor | None = None
        self._rest_until = 0.0
        self._generation = 0

    async def live(self) -> None:
        while not self._world.is_ending:
            self._generation += 1
            process = self._world.process(self.name, self._generation)
            self._processor = self._build(process)
            await process.run(self._processor.run())
            rest = max(RESTART_SECONDS, self._rest_until - self._world.clock())
            if not self._world.is_ending:
                await asyncio.sleep(rest)

    async def rest(self, seconds: float) -> None:
        """Stop gracefully, and stay away for `seconds`."""
        self._rest_until = self._world.clock() + seconds
        self.stop()

    def stop(self) -> None:
        if self._processor is not None:
            self._processor.stop()

    def _build(self, process: Process) -> Processor:
        scenario = self._world.scenario
        bus = ProcessBus(process, self._world.log)
        same = scenario.same_names
        return Processor(
            bus=bus,
            progress=MemoryProgress(self._world.store, process.gate),
            stage=self._make(bus),
            worker=self.name if same else f"{self.name}.{self._generation}",
            lease_seconds=LEASE_SECONDS,
            read_messages=scenario.read_messages,
        )

    def _make(self, bus: ProcessBus) -> Stage:
        if self._stage == "deduper":
            return Deduper(
                bus=bus,
                ledger=LEDGERS[self._world.scenario.ledger](),
                inputs=PARTITIONS,
                outputs=PARTITIONS,
                tick_seconds=0.5,
            )
        if self._stage == "aggregator":
            return AggregatorStage(bus, emit_seconds=0.2, backfill_events=4)
        return RatingStage(
            bus,
            rate_seconds=0.3,
            rate_subscriptions=self._world.scenario.rate_subscriptions,
            clock=lambda: self._world.now(self.name),
        )


async def _pass(point: str) -> None:
    await asyncio.sleep(0)
