"""The kernel with processes that die: between any two awaits, and at random with everything else.

The whole of the outside world is virtual (time, log, database), so a run takes milliseconds and
its seed repeats it.
"""

import asyncio
from random import Random
from typing import Any

import pytest

from tests.simulation.process import Fault, Process
from tests.simulation.virtual import run
from tests.simulation.world import LEASE_SECONDS, World, assert_exact, random_faults

SEEDS = 150


def test_without_faults_every_envelope_is_counted_once() -> None:
    world = World(Random(1), lambda worker, point: None)
    run(world.run())
    assert_exact(world)
    assert sum(world.expected().values()) > 0


def small_world(fault: Any, workers: int) -> World:
    return World(
        Random(5), fault, workers=workers, envelopes=4, over_seconds=0.6, patience_seconds=40
    )


def count_gates(workers: int) -> int:
    """How many points there are at which worker w0 can die, until everything is settled."""
    gates = 0

    def count(worker: Process, point: str) -> None:
        nonlocal gates
        gates += worker.name == "w0"

    world = small_world(count, workers)
    run(world.run())
    assert_exact(world)
    return gates


FROZEN = Fault("freeze", 2.5 * LEASE_SECONDS)
LATE = Fault("late", LEASE_SECONDS)


@pytest.mark.parametrize(
    ("what", "workers"),
    [(Fault("crash"), 1), (Fault("crash"), 2), (Fault("cut"), 1), (LATE, 2), (FROZEN, 2)],
    ids=["crash-alone", "crash", "cut", "late", "freeze"],
)
def test_a_fault_between_any_two_awaits(what: Fault, workers: int) -> None:
    """One run for each point that the first worker passes: it dies there (or loses a connection,
    or is frozen past its lease), comes back, and the sums are the dictionary's."""
    gates = count_gates(workers)
    assert gates > 50
    for victim in range(gates):
        passed = -1
        happened: list[str] = []

        def fault(worker: Process, point: str, victim: int = victim, seen: list[str] = happened):  # type: ignore[no-untyped-def]
            nonlocal passed
            if worker.name != "w0":
                return None
            passed += 1
            if passed == victim:
                seen.append(point)
                return what
            return None

        world = small_world(fault, workers)
        run(world.run())
        try:
            assert_exact(world)
        except AssertionError as error:
            raise AssertionError(f"{what} at gate {victim}, {happened}: {error}") from error


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_everything_at_random(first: int) -> None:
    """Crashes, freezes past the lease, broken connections, late arrivals; two or three workers,
    which come back under their old names or under new ones."""
    for seed in range(first, first + 50):
        random = Random(seed)
        world = World(
            random,
            random_faults(Random(seed + 1_000_000)),
            workers=random.randint(1, 3),
            same_names=random.random() < 0.5,
        )
        run(world.run())
        try:
            assert_exact(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_a_seed_repeats_a_run() -> None:
    def once() -> tuple[int, float, dict[str, int]]:
        world = World(Random(7), random_faults(Random(8)))

        async def timed() -> float:
            await world.run()
            return asyncio.get_running_loop().time()

        seconds = run(timed())
        return world.gates, seconds, world.counted()

    assert once() == once()
