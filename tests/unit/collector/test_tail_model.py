"""The tail against a model: whatever is done to the log, and whenever the collector dies, the spool
holds each complete line exactly once."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.collector.support import Tailing, line, numbers, stored


class TailModel(RuleBasedStateMachine):
    """The model is a set of numbers: those of the lines that were completed."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="tail-model-"))
        self.log = self.directory / "access.log"
        self.complete: set[int] = set()
        self.rest = b""
        self.last = 0
        self.copied = False
        self.alive: Tailing | None = None

    @property
    def tail(self) -> Tailing:
        assert self.alive is not None
        return self.alive

    @initialize()
    def start(self) -> None:
        (self.directory / "spool").mkdir()
        self.alive = self._open()
        self.tail.drain()  # the first look: what is there before it is not usage

    def _open(self) -> Tailing:
        return Tailing(self.log, self.directory / "spool", block_bytes=700)

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        with self.log.open("ab") as file:
            file.write(self.rest)
            self.rest = b""
            for _ in range(count):
                self.last += 1
                file.write(line(self.last))
        self.complete |= set(range(1, self.last + 1))

    @rule(cut=st.integers(1, 150))
    @precondition(lambda self: not self.rest)
    def write_half_a_line(self, cut: int) -> None:
        self.last += 1
        whole = line(self.last)
        with self.log.open("ab") as file:
            file.write(whole[:cut])
        self.rest = whole[cut:]

    @rule()
    @precondition(lambda self: self.rest)
    def write_the_other_half(self) -> None:
        with self.log.open("ab") as file:
            file.write(self.rest)
        self.rest = b""
        self.complete.add(self.last)

    @rule(create=st.booleans())
    @precondition(lambda self: not self.rest and self.log.exists())
    def rotate(self, create: bool) -> None:
        self._shift()
        self.copied = False
        self.log.rename(self.directory / "access.log.1")
        if create:
            self.log.touch()

    @rule()
    @precondition(lambda self: not self.rest and self.log.exists())
    def copytruncate(self) -> None:
        self._shift()
        self.copied = True
        shutil.copy(self.log, self.directory / "access.log.1")
        os.truncate(self.log, 0)

    @rule()
    @precondition(lambda self: not self.rest)
    def write_to_the_rotated_log(self) -> None:
        """nginx has not been told to reopen yet."""
        rotated = self.directory / "access.log.1"
        if not rotated.exists() or self.copied:
            return
        self.last += 1
        with rotated.open("ab") as file:
            file.write(line(self.last))
        self.complete.add(self.last)

    def _shift(self) -> None:
        for number in range(40, 0, -1):
            older = self.directory / f"access.log.{number}"
            if older.exists():
                older.rename(self.directory / f"access.log.{number + 1}")

    @rule(steps=st.integers(1, 4))
    @precondition(lambda self: self.alive is not None)
    def read_a_little(self, steps: int) -> None:
        for _ in range(steps):
            self.tail.step()

    @rule()
    @precondition(lambda self: self.alive is not None)
    def die_before_the_commit(self) -> None:
        self.tail.step(commit=False)
        self.die()

    @rule()
    @precondition(lambda self: self.alive is not None)
    def die(self) -> None:
        self.tail.close()
        self.alive = None

    @rule()
    @precondition(lambda self: self.alive is None)
    def live(self) -> None:
        self.alive = self._open()

    @rule(seconds=st.sampled_from([1, 11, 70]))
    @precondition(lambda self: self.alive is not None)
    def time_passes(self, seconds: int) -> None:
        self.tail.now += seconds

    @invariant()
    def never_twice_and_never_out_of_nothing(self) -> None:
        if self.alive is None:
            return
        read = numbers(stored(self.tail.spool))
        assert len(read) == len(set(read))
        assert set(read) <= self.complete

    def teardown(self) -> None:
        if self.alive is None:
            self.alive = self._open()
        for _ in range(3):  # a copy is recognised only when the files are looked at again
            self.tail.drain()
            self.tail.now += 11
        read = numbers(stored(self.tail.spool))
        assert sorted(read) == sorted(self.complete)
        self.tail.close()
        shutil.rmtree(self.directory)


TestTailModel = TailModel.TestCase
TestTailModel.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
