"""Every moment of a recorded life as that of a power cut: is what was promised still there?"""

import shutil
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Protocol

from tests.simulation.power_loss.disk import Disk, Names
from tests.simulation.power_loss.recorder import Mark, Operation

OBSERVATIONS_KEPT = 2000


class Oracle(Protocol):
    """What has been promised so far, and whether an observation keeps it."""

    def learn(self, what: Any) -> None:
        """A mark of the log."""

    def violations(self, observed: Any) -> list[str]:
        """The promises that are broken when `observed` is what a restart found."""


@dataclass
class Outcome:
    """How much was tried, and what was wrong with it."""

    operations: int = 0
    states: int = 0
    distinct: int = 0
    violations: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Outcome") -> "Outcome":
        self.operations += other.operations
        self.states += other.states
        self.distinct += other.distinct
        self.violations += other.violations
        return self

    def __str__(self) -> str:
        return (
            f"{self.operations} operations, {self.states} states after a power cut,"
            f" {self.distinct} of them distinct, {len(self.violations)} wrong"
        )


def replay(
    log: Sequence[Operation],
    oracle: Oracle,
    observe: Callable[[Path], Any],
    *,
    seed: int,
    samples: int,
    start: int = 0,
    enough: int = 5,
) -> Outcome:
    """Cuts the power after each operation of `log` from `start` on.

    `observe` opens a folder as the product does after a restart and tells what it found there.
    Ends early once `enough` states were wrong.
    """
    disk, chance, outcome = Disk(), Random(seed), Outcome()
    seen: OrderedDict[bytes, Any] = OrderedDict()
    for number, operation in enumerate(log):
        disk.do(operation)
        if isinstance(operation, Mark):
            oracle.learn(operation.what)
        if number < start:
            continue
        outcome.operations += 1
        for names in disk.after_power_cut(chance, samples):
            outcome.states += 1
            names = _with_arbitrary_index(names, chance)
            key = _digest(names)
            if key not in seen:
                outcome.distinct += 1
                seen[key] = _observed(names, observe)
                if len(seen) > OBSERVATIONS_KEPT:
                    seen.popitem(last=False)
            found = oracle.violations(seen[key])
            outcome.violations += [f"after operation {number}: {one}" for one in found]
            if len(outcome.violations) >= enough:
                return outcome
    return outcome


def lay_out(names: Names, folder: Path) -> None:
    """Writes the files and folders of a state."""
    for name in sorted(names):
        content = names[name]
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)


def scratch() -> Path:
    """A new folder in memory where the machine has one: no disk is needed to look at a state."""
    memory = Path("/dev/shm")
    usable = sys.platform == "linux" and memory.is_dir()
    return Path(tempfile.mkdtemp(prefix="power-loss-", dir=memory if usable else None))


def _observed(names: Names, observe: Callable[[Path], Any]) -> Any:
    folder = scratch()
    try:
        lay_out(names, folder)
        return observe(folder)
    finally:
        shutil.rmtree(folder)


def _with_arbitrary_index(names: Names, chance: Random) -> Names:
    """SQLite's index of the WAL is mapped memory: after a power cut it may hold anything."""
    return {
        name: chance.choice((b"", bytes(len(content or b"")), b"\xa5" * len(content or b"")))
        if name.endswith("-shm")
        else content
        for name, content in names.items()
    }


def _digest(names: Names) -> bytes:
    digest = blake2b(digest_size=16)
    for name in sorted(names):
        content = names[name]
        digest.update(f"{name}\0{-1 if content is None else len(content)}\0".encode())
        if content is not None and not name.endswith("-shm"):
            digest.update(content)
    return digest.digest()
