"""What a collector acknowledged survives a power cut, whenever it comes.

The collector's own spool works on a folder whose system calls are recorded; then the power is cut
after each of them, and the spool is opened on everything that may be left.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.simulation.power_loss import interpose
from tests.simulation.power_loss.disk import Disk, Names
from tests.simulation.power_loss.protections import REMOVED
from tests.simulation.power_loss.recorder import (
    Create,
    Mark,
    Operation,
    Recorder,
    Sync,
    Write,
)
from tests.simulation.power_loss.replay import Outcome, lay_out, replay
from tests.simulation.power_loss.spool_life import SPOOL, opened
from tests.simulation.power_loss.spool_oracle import SpoolOracle, observe_spool

SCALE = int(os.environ.get("TOLLGATE_POWER_LOSS_SCALE", "1"))
"""How much longer than in `make test` the spool lives and how many more kills it sees."""

pytestmark = pytest.mark.skipif(
    interpose.unsupported() is not None, reason=interpose.unsupported() or ""
)


def lived(root: Path, *, seed: int, changes: int) -> list[Operation]:
    """The log of a spool that is made, worked with, closed and worked with again."""
    recorder = Recorder(root)
    with recorder.recording():
        for number in range(2):
            with opened(recorder, root, f"life{number}", seed + number) as life:
                life.work(changes)
    return recorder.log


def lived_on(
    root: Path, before: list[Operation], names: Names, numbers: dict[str, int], seed: int
) -> list[Operation]:
    """`before`, and then the log of a collector that starts on `names` and works."""
    lay_out(names, root)
    recorder = Recorder(root, list(before), numbers)
    with recorder.recording(), opened(recorder, root, f"again{seed}", seed) as life:
        life.work(2)
    return recorder.log


def attack(log: Sequence[Operation], *, seed: int, samples: int = 3, start: int = 0) -> Outcome:
    return replay(log, SpoolOracle(), observe_spool, seed=seed, samples=samples, start=start)


def attack_after_kills(folder: Path, *, seed: int, kills: int, enough: int = 5) -> Outcome:
    """A killed process leaves what it wrote in the memory of the machine, where its successor
    finds it, unsynced. Then the power is cut."""
    first = lived(make(folder / "first"), seed=seed, changes=2)
    total = Outcome()
    for number, length in enumerate(moments(first, Random(seed), kills)):
        disk = Disk()
        for operation in first[:length]:
            disk.do(operation)
        root = make(folder / str(number))
        log = lived_on(root, first[:length], disk.everything(), disk.numbers(), 100 + number)
        total += attack(log, seed=number, samples=1, start=length)
        if len(total.violations) >= enough:
            break
    return total


def test_nothing_acknowledged_is_lost_at_any_moment(tmp_path: Path) -> None:
    outcome = attack(lived(tmp_path, seed=1, changes=4 * SCALE), seed=1)
    print(outcome)
    assert outcome.violations == []
    assert outcome.distinct > 500


def test_a_power_cut_soon_after_a_kill(tmp_path: Path) -> None:
    outcome = attack_after_kills(tmp_path, seed=2, kills=4 * SCALE)
    print(outcome)
    assert outcome.violations == []


def test_a_power_cut_during_the_recovery_from_one(tmp_path: Path) -> None:
    chance = Random(3)
    first = lived(make(tmp_path / "first"), seed=3, changes=2)
    total = Outcome()
    for number, length in enumerate(moments(first, chance, 3 * SCALE)):
        disk = Disk()
        for operation in first[:length]:
            disk.do(operation)
        names = chance.choice(list(disk.after_power_cut(chance, 6)))
        before, numbers = restored(names)
        before += [operation for operation in first[:length] if isinstance(operation, Mark)]
        log = lived_on(make(tmp_path / str(number)), before, names, numbers, 200 + number)
        total += attack(log, seed=number, samples=1, start=len(before))
    print(total)
    assert total.violations == []


@pytest.mark.parametrize("protection", REMOVED)
def test_each_protection_is_missed_when_it_is_gone(
    protection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is how we know that the tests above can fail."""
    REMOVED[protection](monkeypatch)
    log = lived(make(tmp_path / "cut"), seed=4, changes=1)
    outcome = attack(log, seed=4)
    if not outcome.violations:
        outcome = attack_after_kills(tmp_path, seed=4, kills=8, enough=1)
    print(f"without {protection}: {outcome}")
    assert outcome.violations != []


def test_a_sqlite_that_does_not_sync_the_folder_of_a_new_file_is_noticed(tmp_path: Path) -> None:
    log = lived(tmp_path, seed=5, changes=2)
    disk = Disk()
    for operation in log[: len(log) // 2]:
        disk.do(operation)
    folder = disk.numbers()[str(SPOOL)]
    outcome = attack([operation for operation in log if operation != Sync(folder)], seed=5)
    assert outcome.violations != []


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def moments(log: Sequence[Operation], chance: Random, count: int) -> list[int]:
    """Lengths of beginnings of a log that end between writes and their sync: most is at stake."""
    found = [
        number
        for number in range(2, len(log))
        if isinstance(log[number], Sync)
        and isinstance(log[number - 1], Write)
        and isinstance(log[number - 2], Write)
    ]
    return sorted(chance.sample(found, min(count, len(found))))


def restored(names: Names) -> tuple[list[Operation], dict[str, int]]:
    """A log that puts these files on a disk durably, and the numbers it gives them."""
    numbers = {"": 0}
    log: list[Operation] = []
    for number, name in enumerate(sorted(names), 1):
        folder, _, own = name.rpartition("/")
        content = names[name]
        log.append(Create(numbers[folder], own, number, content is None))
        if content is not None:
            log += [Write(number, 0, content), Sync(number)]
        numbers[name] = number
        log.append(Sync(numbers[folder]))
    return log, numbers
