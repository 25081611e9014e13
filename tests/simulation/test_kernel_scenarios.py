"""The kernel's promises one by one, each as a short story in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import msgspec
import pytest

from common.bus import BusError, Message, Record
from common.bus.memory import MemoryBus
from common.contracts.control import tick_record, watermark_record
from common.contracts.topics import Topic
from common.stream import Fenced, Partition, Position, Processor, metrics
from common.stream.memory import MemoryProgress, MemoryStore
from common.stream.position import origin_header
from tests.simulation.process import Fault, Process
from tests.simulation.virtual import run
from tests.simulation.world import LEASE_SECONDS, World, assert_exact

TOPIC = Topic("input", "none", compacted=False)


class Collect:
    """A stage that keeps what it is given, in `tx`, and calls `on` first."""

    topic = TOPIC
    root = False
    tick_seconds: float | None = None

    def __init__(self, *, recover: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._recover = recover
        self.calls: list[list[bytes | None]] = []
        self.emitted = 0

    async def recover(self, part: Partition) -> None:
        if self._recover is not None:
            await self._recover()

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
        self.calls.append([message.value for message in messages])
        known = await tx.get("taken", part.number, ())
        await tx.put("taken", part.number, (*known, *(m.value for m in messages)))

    async def emit(self, part: Partition, effect: Any) -> None:
        self.emitted += 1
        part.emitted(part.next_offset)


class House:
    """A bus, a store and processors that share them."""

    def __init__(self, partitions: int = 1) -> None:
        self.clock = asyncio.get_running_loop().time
        self.bus = MemoryBus(partitions=partitions, clock_ms=lambda: int(self.clock() * 1000) + 1)
        self.store = MemoryStore(clock=self.clock, idle_seconds=5)
        self.running: list[tuple[Processor, asyncio.Task[None]]] = []
        self.delays: dict[tuple[str, str], float] = {}

    def start(self, worker: str, stage: Any) -> Processor:
        async def hook(point: str) -> None:
            await asyncio.sleep(self.delays.get((worker, point), 0.001))

        processor = Processor(
            bus=self.bus,
            progress=MemoryProgress(self.store, hook),
            stage=stage,
            worker=worker,
            lease_seconds=LEASE_SECONDS,
        )
        self.running.append((processor, asyncio.create_task(processor.run())))
        return processor

    async def stop(self) -> None:
        for processor, _ in self.running:
            processor.stop()
        await asyncio.wait_for(asyncio.gather(*(task for _, task in self.running)), 20)

    def position(self, partition: int = 0) -> Position:
        position = self.store.position(TOPIC.name, partition)
        assert position is not None
        return position

    async def append(self, *records: Record, partition: int = 0) -> None:
        await self.bus.append(TOPIC.name, {partition: list(records)})

    def taken(self, partition: int = 0) -> tuple[bytes, ...]:
        return tuple(self.store.tables["taken"].get(partition, ()))


def in_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        run(story())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


def data(value: str, origin: tuple[int, int] | None = None) -> Record:
    return Record(None, value.encode(), (origin_header(*origin),) if origin else ())


@in_virtual_time
async def test_records_are_taken_once_and_positions_follow() -> None:
    house = House()
    stage = Collect()
    house.start("a", stage)
    await house.append(data("one"), data("two"))
    await asyncio.sleep(2)

    assert house.taken() == (b"one", b"two")
    assert house.position().next_offset == house.position().emitted_offset == 2
    await house.stop()


@in_virtual_time
async def test_an_origin_that_was_seen_is_dropped() -> None:
    house = House()
    house.start("a", Collect())
    await house.append(data("p0@3", (0, 3)), data("p1@3", (1, 3)), data("p0@4", (0, 4)))
    await house.append(data("again", (0, 3)), data("again", (0, 4)), data("p0@9", (0, 9)))
    await asyncio.sleep(2)
    await house.append(data("again", (1, 3)), data("p1@4", (1, 4)))
    await asyncio.sleep(2)

    assert house.taken() == (b"p0@3", b"p1@3", b"p0@4", b"p0@9", b"p1@4")
    assert house.position().seen == {0: 9, 1: 4}
    await house.stop()


@in_virtual_time
async def test_the_watermark_is_the_least_of_all_origins_and_never_goes_back() -> None:
    house = House()
    house.start("a", Collect())
    await house.append(watermark_record(0, 3, 500), watermark_record(1, 3, 900))
    await asyncio.sleep(2)
    assert house.position().watermark_ms is None, "origin 2 has said nothing yet"

    await house.append(watermark_record(2, 3, 700))
    await asyncio.sleep(2)
    assert house.position().watermark_ms == 500

    await house.append(watermark_record(0, 3, 300), watermark_record(1, 3, 100))
    await asyncio.sleep(2)
    assert house.position().watermark_ms == 500, "a zombie's old watermarks change nothing"

    await house.append(watermark_record(0, 3, 800))
    await asyncio.sleep(2)
    assert house.position().watermark_ms == 700
    await house.stop()


@in_virtual_time
async def test_ticks_carry_the_brokers_time_into_the_first_stage() -> None:
    house = House()
    stage = Collect()
    stage.root = True
    house.start("a", stage)
    await house.append(data("one"))
    await asyncio.sleep(5)
    before = house.position().watermark_ms
    await house.append(tick_record())
    await asyncio.sleep(1)

    after = house.position().watermark_ms
    assert before is not None
    assert after is not None
    assert after - before >= 5000
    assert house.taken() == (b"one",)
    await house.stop()


@in_virtual_time
async def test_two_workers_share_and_a_third_gets_its_part() -> None:
    house = House(partitions=6)
    first = house.start("a", Collect())
    await asyncio.sleep(2)
    assert first.owned == [0, 1, 2, 3, 4, 5]

    second = house.start("b", Collect())
    await asyncio.sleep(5)
    assert (len(first.owned), len(second.owned)) == (3, 3)

    third = house.start("c", Collect())
    await asyncio.sleep(5)
    assert [len(p.owned) for p in (first, second, third)] == [2, 2, 2]
    assert sorted(first.owned + second.owned + third.owned) == [0, 1, 2, 3, 4, 5]
    await house.stop()


@in_virtual_time
async def test_a_graceful_stop_finishes_the_step_and_releases() -> None:
    house = House()
    house.start("a", Collect())
    await house.append(data("one"))
    await asyncio.sleep(1)
    house.delays["a", "commit"] = 1.0
    await house.append(data("two"))
    await asyncio.sleep(0.5)
    await house.stop()

    assert house.taken() == (b"one", b"two")
    assert house.store.rows[TOPIC.name, 0].owner is None
    assert not house.store.workers
    other = house.start("b", Collect())
    await asyncio.sleep(0.5)
    assert other.owned == [0], "the lease need not run out"
    await house.stop()


@in_virtual_time
async def test_the_lease_of_a_worker_that_vanished_runs_out() -> None:
    house = House()
    house.start("a", Collect())
    await house.append(data("one"))
    await asyncio.sleep(1)
    _, task = house.running.pop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    second = house.start("b", Collect())
    await asyncio.sleep(LEASE_SECONDS / 2)
    assert second.owned == []

    await house.append(data("two"))
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert second.owned == [0]
    assert house.taken() == (b"one", b"two")
    await house.stop()


@in_virtual_time
async def test_a_cancelled_processor_leaves_nothing_running() -> None:
    house = House(partitions=3)
    house.start("a", Collect())
    await asyncio.sleep(1)
    _, task = house.running.pop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_recovery_may_take_longer_than_a_lease() -> None:
    async def slowly() -> None:
        await asyncio.sleep(10 * LEASE_SECONDS)

    house = House()
    first = house.start("a", Collect(recover=slowly))
    await asyncio.sleep(0.5)
    second = house.start("b", Collect())
    await house.append(data("one"))
    await asyncio.sleep(11 * LEASE_SECONDS)

    assert (first.owned, second.owned) == ([0], [])
    assert house.taken() == (b"one",)
    assert house.position().epoch == 1
    await house.stop()


@in_virtual_time
async def test_an_owner_whose_lease_is_taken_away_stops_what_it_does() -> None:
    ended: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    house = House()
    house.start("a", Collect(recover=forever))
    await asyncio.sleep(0.5)
    row = house.store.rows[TOPIC.name, 0]
    row.position = msgspec.structs.replace(row.position, epoch=row.position.epoch + 1)
    row.owner, row.lease_expires_at = "b", 1e9
    await asyncio.sleep(2 * LEASE_SECONDS)

    assert ended == [True]
    await house.stop()


@in_virtual_time
async def test_a_transaction_that_stays_idle_is_ended_and_taken_over() -> None:
    house = House()
    house.start("a", Collect())
    await asyncio.sleep(1)
    house.delays["a", "compared"] = 1000.0  # frozen with the row locked
    await house.append(data("one"))
    await asyncio.sleep(1)
    house.start("b", Collect())
    await asyncio.sleep(20)

    assert house.taken() == (b"one",)
    house.delays.clear()


@in_virtual_time
async def test_a_zombie_that_wakes_after_its_commit_emits_nothing() -> None:
    """Its successor has emitted already; in a compacted topic the older value would stay."""
    house = House()
    stage = Collect()
    house.start("a", stage)
    await asyncio.sleep(1)
    emitted = stage.emitted
    house.delays["a", "committed"] = 3 * LEASE_SECONDS
    house.delays["a", "renew"] = 3 * LEASE_SECONDS
    await house.append(data("one"))
    await asyncio.sleep(1)
    house.start("b", Collect())
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert house.position().epoch == 2
    await asyncio.sleep(8 * LEASE_SECONDS)

    assert house.taken() == (b"one",)
    assert stage.emitted == emitted, "it asked before it emitted, and was fenced"
    await house.stop()


@in_virtual_time
async def test_records_that_retention_took_stop_the_stage_with_an_alarm() -> None:
    house = House()
    house.start("a", Collect())
    await house.append(data("one"))
    await asyncio.sleep(1)
    await house.stop()
    house.running.clear()
    await house.append(data("lost"), data("three"))
    house.bus.drop_before(TOPIC.name, 0, 2)
    alarms = metrics.GAPS.labels(TOPIC.name)._value.get()

    house.start("b", Collect())
    await asyncio.sleep(10)

    assert house.taken() == (b"one",), "it must not go on behind the hole"
    assert metrics.GAPS.labels(TOPIC.name)._value.get() > alarms
    await house.stop()


@in_virtual_time
async def test_a_step_that_fails_is_tried_again_from_the_start() -> None:
    class Fails(Collect):
        left = 3

        async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
            await super().apply(tx, part, messages)
            if messages and self.left:
                self.left -= 1
                raise ValueError("not today")

    house = House()
    house.start("a", Fails())
    await house.append(data("one"))
    await asyncio.sleep(15)

    assert house.taken() == (b"one",)
    await house.stop()


@in_virtual_time
async def test_apply_is_called_on_ticks() -> None:
    house = House()
    stage = Collect()
    stage.tick_seconds = 0.5
    house.start("a", stage)
    await asyncio.sleep(10)

    assert 10 <= stage.calls.count([]) <= 25
    await house.stop()


@in_virtual_time
async def test_emitted_must_lie_between_what_was_and_what_is_committed() -> None:
    position = Position(topic="t", partition=0, next_offset=5, emitted_offset=3)
    part = Partition(position, session=None)  # type: ignore[arg-type]
    for wrong in (2, 6):
        with pytest.raises(ValueError, match="not within"):
            part.emitted(wrong)
    part.emitted(5)
    assert part.emitted_offset == 5


@in_virtual_time
async def test_a_step_of_another_epoch_or_offset_writes_nothing() -> None:
    house = House()

    async def nothing(point: str) -> None: ...

    progress = MemoryProgress(house.store, nothing)
    position = await progress.claim("t", 0, "a", 1, 7)
    assert position is not None
    session = await progress.session(position)
    moved = msgspec.structs.replace(position, next_offset=8)
    for stale in (
        msgspec.structs.replace(position, epoch=position.epoch - 1),
        msgspec.structs.replace(position, next_offset=6),
    ):
        with pytest.raises(Fenced):
            async with session.step(stale, moved, 1) as tx:
                await tx.put("sums", "a", 1)
    assert not house.store.tables["sums"]


def test_a_takeover_while_the_emission_is_half_done() -> None:
    """w0 dies between two records of one append, at each append once."""
    for victim in range(12):
        passed = -1

        def fault(worker: Process, point: str, victim: int = victim) -> Any:
            nonlocal passed
            if point != "append":
                return None
            passed += 1
            return Fault("crash") if passed == victim else None

        world = World(Random(11), fault, same_names=False)
        run(world.run())
        assert_exact(world)


@in_virtual_time
async def test_a_bus_error_in_emit_drops_the_partition() -> None:
    class Refused(Collect):
        refuse = True

        async def emit(self, part: Partition, effect: Any) -> None:
            if self.refuse and effect is None and part.next_offset:
                self.refuse = False
                raise BusError("not confirmed")
            await super().emit(part, effect)

    house = House()
    house.start("a", Refused())
    await house.append(data("one"))
    await asyncio.sleep(6)

    assert house.position().epoch == 2
    assert house.taken() == (b"one",)
    await house.stop()
