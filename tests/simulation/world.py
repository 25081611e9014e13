"""A world of workers, a log and a database in virtual time, in which a seed lets things break.

A worker stands for a process: everything it does outside of itself passes its `gate`, where it
can be killed, frozen, or cut off. The outcome is compared with one dictionary.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from common.bus import BusError, Message, Reader, Record
from common.bus.memory import MemoryBus
from common.contracts.topics import partition_for
from common.stream import Processor
from common.stream.memory import MemoryProgress, MemoryStore
from tests.simulation.stages import MID, PARTITIONS, RAW, Relay, Sum

LEASE_SECONDS = 2.0
IDLE_SECONDS = 4.0
RESTART_SECONDS = 0.5


class Crashed(BaseException):
    """The process is dead: no handler of the product runs on it."""


class Cut(ConnectionResetError):
    """A connection broke. `late`: what it had in flight arrives all the same, later."""

    def __init__(self, point: str, late: bool = False) -> None:
        super().__init__(point)
        self.late = late


Fault = Callable[["Worker", str], Any]
"""(worker, point) -> None, "crash", ("freeze", seconds) of the whole process, ("slow", seconds) of
this one call, "cut" (an error of the connection), or "late" (at an append: an error, though the
rest arrives afterwards)."""


class Worker:
    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.dead = False
        self.frozen_until = 0.0
        self._died = asyncio.Event()
        bus = WorkerBus(self)
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

    async def gate(self, point: str) -> None:
        loop = asyncio.get_running_loop()
        self._check()
        self.world.gates += 1
        fault = self.world.fault(self, point)
        if fault == "crash":
            self.dead = True
            self._died.set()
            raise Crashed(point)
        seconds = self.world.random.random() * self.world.jitter_seconds
        if isinstance(fault, tuple) and fault[0] == "freeze":
            self.frozen_until = max(self.frozen_until, loop.time() + fault[1])
        elif isinstance(fault, tuple):
            seconds += fault[1]
        await asyncio.sleep(seconds)
        while (left := self.frozen_until - loop.time()) > 0:  # noqa: ASYNC110 (it may grow)
            await asyncio.sleep(left)
        self._check()
        if fault in ("cut", "late"):
            raise Cut(point, late=fault == "late")

    async def run(self) -> None:
        """Run until stopped or killed; a killed one cleans nothing up."""
        tasks = [asyncio.create_task(processor.run()) for processor in self.processors]
        died = asyncio.create_task(self._died.wait())
        with contextlib.suppress(asyncio.CancelledError):
            finished = asyncio.gather(*tasks, return_exceptions=True)
            either: set[asyncio.Future[Any]] = {died, finished}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        for processor in self.processors:
            processor.stop()

    def _check(self) -> None:
        if self.dead:
            raise Crashed("dead already")


class WorkerBus:
    """The world's log as one worker reaches it. Records of an append arrive one by one."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._bus = worker, worker.world.bus

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        left = {number: list(records) for number, records in batches.items()}
        while any(left.values()):
            number = self._worker.world.random.choice([n for n, r in left.items() if r])
            try:
                await self._worker.gate("append")
            except Cut as error:
                if error.late:
                    self._worker.world.deliver_later(topic, left)
                raise BusError("not confirmed") from error
            await self._bus.append(topic, {number: [left[number].pop(0)]})
        try:
            await self._worker.gate("appended")
        except Cut as error:
            raise BusError("not confirmed") from error

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        await self._gate("open")
        return WorkerReader(self, await self._bus.reader(topic, partition, offset))

    async def partitions(self, topic: str) -> int:
        return await self._bus.partitions(topic)

    async def beginning_offset(self, topic: str, partition: int) -> int:
        await self._gate("beginning")
        return await self._bus.beginning_offset(topic, partition)

    async def end_offset(self, topic: str, partition: int) -> int:
        await self._gate("end")
        return await self._bus.end_offset(topic, partition)

    async def _gate(self, point: str) -> None:
        try:
            await self._worker.gate(point)
        except Cut as error:
            raise BusError(point) from error


class WorkerReader:
    def __init__(self, bus: WorkerBus, reader: Reader) -> None:
        self._bus, self._reader = bus, reader

    async def read(self, max_messages: int, wait_seconds: float) -> list[Message]:
        await self._bus._gate("read")
        messages = await self._reader.read(max_messages, wait_seconds)
        await self._bus._gate("have read")
        return messages

    async def seek(self, offset: int) -> None:
        await self._reader.seek(offset)

    async def close(self) -> None: ...


@dataclass
class World:
    """`fault` decides what happens at each gate. `workers`: how many run at once."""

    random: Random
    fault: Fault
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
        self.store = MemoryStore(clock=clock, idle_seconds=IDLE_SECONDS)
        if self.prepare is not None:
            self.prepare(self.store)
        self._beside: set[asyncio.Task[None]] = set()
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

    def deliver_later(self, topic: str, left: dict[int, list[Record]]) -> None:
        """What a broken connection still had in flight arrives, in order, some time later."""
        rest = {number: list(records) for number, records in left.items() if records}

        async def deliver() -> None:
            await asyncio.sleep(self.random.random() * 3 * LEASE_SECONDS)
            await self.bus.append(topic, rest)

        task = asyncio.create_task(deliver())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

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
            await worker.run()
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
            if not self._beside and not await self._behind():
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


def random_faults(random: Random, *, until_seconds: float = 12.0) -> Fault:
    """Everything that can happen, now and then, for a while."""

    def fault(worker: Worker, point: str) -> Any:
        if asyncio.get_running_loop().time() > until_seconds:
            return None
        dice = random.random()
        if dice < 0.004:
            return "crash"
        if dice < 0.012:
            kind = "freeze" if random.random() < 0.7 else "slow"
            return kind, random.random() * 3 * LEASE_SECONDS
        if dice < 0.016:
            return "late"
        return "cut" if dice < 0.024 else None

    return fault


def assert_exact(world: World) -> None:
    assert world.quiet, f"not settled: {world.store.rows}"
    assert world.counted() == world.expected()
    assert not world.violations, world.violations[:3]
    assert world.stopped, "a worker did not stop"
