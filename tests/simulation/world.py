"""A world of workers, a log and a database in virtual time, in which a seed lets things break.

The stages are the two small ones of `stages.py`; the outcome is compared with one dictionary.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from common.bus import Record
from common.bus.memory import MemoryBus
from common.contracts.topics import partition_for
from common.stream import Processor
from common.stream.memory import MemoryProgress, MemoryStore
from tests.simulation import process
from tests.simulation.process import Fault
from tests.simulation.stages import MID, PARTITIONS, RAW, Relay, Sum

LEASE_SECONDS = 2.0
IDLE_SECONDS = 4.0
RESTART_SECONDS = 0.5


class Worker(process.Process):
    """A process that runs both stages."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(
            name,
            random=world.random,
            decide=world.decide,
            jitter_seconds=world.jitter_seconds,
        )
        bus = process.ProcessBus(self, world.log)
        progress = MemoryProgress(world.store, self.gate)
        stages = (world.make_relay(bus), Sum(world.check_watermark))
        self.processors = [
            Processor(
                bus=bus,
                progress=progress,
                stage=stage,
                worker=name,
                lease_seconds=LEASE_SECONDS,
                read_messages=world.random.randint(1, 5),
            )
            for stage in stages
        ]

    async def live(self) -> None:
        """Until stopped or killed."""
        await self.run(*(processor.run() for processor in self.processors))

    def stop(self) -> None:
        for processor in self.processors:
            processor.stop()


@dataclass
class World:
    """`fault` decides what happens at each gate. `workers`: how many run at once."""

    random: Random
    fault: process.Decide
    workers: int = 2
    envelopes: int = 24
    over_seconds: float = 4.0
    patience_seconds: float = 60.0
    jitter_seconds: float = 0.01
    same_names: bool = True
    make_relay: Callable[[Any], Any] = Relay
    prepare: Callable[[MemoryStore], None] | None = None
    """Where a test takes a protection away."""
    gates: int = 0
    violations: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Feed, let break, wait until everything is quiet."""
        clock = asyncio.get_running_loop().time
        self.bus = MemoryBus(partitions=PARTITIONS, clock_ms=lambda: int(clock() * 1000) + 1)
        self.log = process.Log(self.bus)
        self.store = MemoryStore(clock=clock, idle_seconds=IDLE_SECONDS)
        if self.prepare is not None:
            self.prepare(self.store)
        self._ending = False
        self.received: dict[str, list[Any]] = {}
        self.current: dict[int, Worker] = {}
        slots = [asyncio.create_task(self._keep_running(slot)) for slot in range(self.workers)]
        await self._feed()
        self.quiet = await self._settle(clock() + self.patience_seconds)
        self._ending = True
        for worker in self.current.values():
            worker.stop()
        await asyncio.wait(slots, timeout=30)
        self.stopped = all(slot.done() for slot in slots)

    def expected(self) -> dict[str, int]:
        sums: dict[str, int] = defaultdict(int)
        for _, tenant, amount in self.received.values():
            sums[tenant] += amount
        return dict(sums)

    def counted(self) -> dict[str, int]:
        sums: dict[str, int] = defaultdict(int)
        for (tenant, _), amount in self.store.tables["sums"].items():
            sums[tenant] += amount
        return dict(sums)

    def decide(self, worker: process.Process, point: str) -> Fault | None:
        self.gates += 1
        return self.fault(worker, point)

    def check_watermark(self, partition: int, watermark_ms: int, counted: set[str]) -> None:
        """Everything received before the watermark, and meant for the partition, is counted."""
        for number in range(PARTITIONS):
            for message in self.bus.messages(RAW.name, number):
                if message.timestamp_ms >= watermark_ms:
                    break
                for identity, tenant, _ in json.loads(message.value or b"[]"):
                    mine = partition_for(tenant, PARTITIONS) == partition
                    if mine and identity not in counted:
                        self.violations.append(f"{identity} is not in W {watermark_ms}")

    async def _keep_running(self, slot: int) -> None:
        generation = 0
        while not self._ending:
            name = f"w{slot}" if self.same_names else f"w{slot}.{generation}"
            worker = self.current[slot] = Worker(self, name)
            await worker.live()
            generation += 1
            if not self._ending:
                await asyncio.sleep(RESTART_SECONDS)

    async def _feed(self) -> None:
        ids: list[str] = []
        for number in range(self.envelopes):
            items = []
            for place in range(self.random.randint(0, 4)):
                if ids and self.random.random() < 0.25:
                    identity = self.random.choice(ids)
                    items.append(self.received[identity])
                    continue
                identity = f"{number}.{place}"
                item = [identity, f"t{self.random.randint(0, 5)}", 2 ** self.random.randint(0, 20)]
                ids.append(identity)
                self.received[identity] = item
                items.append(item)
            by_partition: dict[int, list[Any]] = defaultdict(list)
            for item in items:  # an identity always comes by the same way
                by_partition[partition_for(item[0], PARTITIONS)].append(item)
            for partition, chosen in by_partition.items():
                record = Record(None, json.dumps(chosen).encode())
                await self.bus.append(RAW.name, {partition: [record]})
            await asyncio.sleep(self.random.random() * 2 * self.over_seconds / self.envelopes)

    async def _settle(self, deadline: float) -> bool:
        """Whether everything was read, counted and emitted before the deadline."""
        clock = asyncio.get_running_loop().time
        while clock() < deadline:
            await asyncio.sleep(0.5)
            if self.log.is_quiet and not await self._behind():
                return True
        return False

    async def _behind(self) -> bool:
        for topic in (RAW, MID):
            for number in range(PARTITIONS):
                position = self.store.position(topic.name, number)
                if position is None:
                    return True
                end = await self.bus.end_offset(topic.name, number)
                if position.next_offset < end or position.emitted_offset < end:
                    return True
        return False


def random_faults(random: Random, *, until_seconds: float = 12.0) -> process.Decide:
    """Everything that can happen, now and then, for a while."""

    def fault(worker: process.Process, point: str) -> Fault | None:
        if asyncio.get_running_loop().time() > until_seconds:
            return None
        dice = random.random()
        if dice < 0.004:
            return Fault("crash")
        if dice < 0.012:
            kind = "freeze" if random.random() < 0.7 else "slow"
            return Fault(kind, random.random() * 3 * LEASE_SECONDS)
        if dice < 0.016:
            return Fault("late", random.random() * 3 * LEASE_SECONDS)
        return Fault("cut") if dice < 0.024 else None

    return fault


def assert_exact(world: World) -> None:
    assert world.quiet, f"not settled: {world.store.rows}"
    assert world.counted() == world.expected()
    assert not world.violations, world.violations[:3]
    assert world.stopped, "a worker did not stop"
