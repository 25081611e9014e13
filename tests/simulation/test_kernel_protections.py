"""Each protection of the kernel, taken away: the same attacks then find a wrong sum.

This is how we know that the tests of the kernel can fail.
"""

import contextlib
import functools
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from common.bus import Message
from common.stream import Fenced, Position, processor
from common.stream.memory import MemoryProgress, MemoryStore
from common.stream.position import Advance, advance
from tests.simulation.process import Fault, Process
from tests.simulation.stages import Relay
from tests.simulation.virtual import run
from tests.simulation.world import LEASE_SECONDS, World, assert_exact, random_faults


def wrong_runs(seeds: int, **world: Any) -> int:
    """How many of `seeds` random runs end with anything but the right sums."""
    wrong = 0
    for seed in range(seeds):
        attacked = World(
            Random(seed), random_faults(Random(seed + 1_000_000)), patience_seconds=25, **world
        )
        run(attacked.run())
        try:
            assert_exact(attacked)
        except AssertionError:
            wrong += 1
    return wrong


def test_with_every_protection_no_run_is_wrong() -> None:
    assert wrong_runs(30) == 0


def test_without_emitting_again_on_takeover_usage_is_lost() -> None:
    assert wrong_runs(10, make_relay=functools.partial(Relay, emits_again=False)) > 0


def test_without_stopping_at_the_first_failed_emission_usage_is_lost() -> None:
    assert wrong_runs(30, make_relay=functools.partial(Relay, stops_on_error=False)) > 0


def test_without_remembering_origins_usage_is_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgetful(position: Position, messages: list[Message], **kinds: bool) -> Advance:
        return advance(msgspec.structs.replace(position, seen={}), messages, **kinds)

    monkeypatch.setattr(processor, "advance", forgetful)
    assert wrong_runs(5) > 0


def test_a_watermark_told_before_its_data_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Relay):
        async def emit(self, part: Any, effect: Any) -> None:
            await self._send(part, [])  # the watermark of the step, and then its data
            await super().emit(part, effect)

    assert wrong_runs(5, make_relay=Hasty) > 0


def zombie_runs(prepare: Callable[[MemoryStore], None]) -> int:
    """Wrong sums when w0 is frozen past its lease just before a step's transaction (and the
    renewal beside it hangs, which else would notice), while w1 takes over and does that step."""
    wrong = 0
    for victim in range(40):
        begun = -1

        def fault(worker: Process, point: str, victim: int = victim) -> Any:
            nonlocal begun
            if worker.name == "w0" and point == "renew":
                return Fault("slow", 1000.0)
            if worker.name != "w0" or point != "begin":
                return None
            begun += 1
            return Fault("freeze", 3 * LEASE_SECONDS) if begun == victim else None

        world = World(Random(3), fault, envelopes=12, patience_seconds=20, prepare=prepare)
        run(world.run())
        wrong += world.counted() != world.expected()
    return wrong


def test_a_zombie_writes_when_neither_epoch_nor_offset_is_compared() -> None:
    def trusting(store: MemoryStore) -> None:
        store.compares_epoch = store.compares_offset = False

    assert zombie_runs(trusting) > 0
    assert zombie_runs(lambda store: None) == 0


class LostAnswer:
    """A hook that loses the answer of the first commit."""

    def __init__(self) -> None:
        self.armed = True

    async def __call__(self, point: str) -> None:
        if self.armed and point == "committed":
            self.armed = False
            raise ConnectionResetError("the answer was lost")


async def add_after_lost_answer(compares_offset: bool) -> int:
    """A caller that blindly repeats a step whose commit was not answered; the resulting sum."""
    store = MemoryStore(clock=lambda: 0.0, compares_offset=compares_offset)
    progress = MemoryProgress(store, LostAnswer())
    position = await progress.claim("t", 0, "w", LEASE_SECONDS, 0)
    assert position is not None
    session = await progress.session(position)
    moved = msgspec.structs.replace(position, next_offset=1)

    async def step() -> None:
        async with session.step(position, moved, LEASE_SECONDS) as tx:
            await tx.put("sums", "a", await tx.get("sums", "a", 0) + 5)

    with pytest.raises(ConnectionResetError):
        await step()
    if compares_offset:
        with pytest.raises(Fenced):
            await step()
    else:
        await step()
    return int(store.tables["sums"]["a"])


def test_the_expected_offset_makes_a_blind_retry_harmless() -> None:
    assert run(add_after_lost_answer(compares_offset=True)) == 5
    assert run(add_after_lost_answer(compares_offset=False)) == 10


async def flush_by_a_zombie(compares_epoch: bool) -> int:
    """A stage holds usage back and releases it on a tick, which moves no offset. A zombie's tick
    takes effect after its successor has looked for what is to be emitted again, and the zombie
    dies before it emits. Returns what was emitted of 5."""
    store = MemoryStore(clock=lambda: 0.0, compares_epoch=compares_epoch)
    store.tables["held"]["a"] = 5

    async def nothing(point: str) -> None: ...

    progress = MemoryProgress(store, nothing)
    zombie_position = await progress.claim("t", 0, "w", LEASE_SECONDS, 0)
    assert zombie_position is not None
    zombie = await progress.session(zombie_position)
    position = await progress.claim("t", 0, "w", LEASE_SECONDS, 0)  # the successor
    assert position is not None
    successor = await progress.session(position)
    emitted = sum(store.tables["released"].values())  # its recovery: nothing is released yet

    async def tick(session: Any, at: Position) -> int:
        async with session.step(at, at, LEASE_SECONDS) as tx:
            held = await tx.get("held", "a", 0)
            await tx.put("released", "a", held)
            await tx.delete("held", "a")
        return int(held)

    with contextlib.suppress(Fenced):
        await tick(zombie, zombie_position)  # and it dies before it emits
    return int(emitted + await tick(successor, position))


def test_the_epoch_fences_a_zombie_that_stands_at_the_same_offset() -> None:
    assert run(flush_by_a_zombie(compares_epoch=True)) == 5
    assert run(flush_by_a_zombie(compares_epoch=False)) == 0
