"""The spool at work, recorded: apps, a tailed log, a shipper and an operator's parked lines, each a
thread of its own on the product's own spool.

Every event says who made it and its number, so that what is found later can be traced to it.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from collector.lock import DirectoryLock
from collector.spool.values import Identity, Parked, Position
from collector.spool.writer import Ack, Change, Receipt, Spool
from tests.simulation.power_loss.recorder import Recorder

NODE = "edge-1"
LOG = "/log"
SPOOL = Path("var") / "collector"
"""Where the spool is below the watched folder; neither of the two exists at first."""

_CHECKPOINT_PAGES = 12
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The collector runs and shows this identity."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Submitted:
    """A change was handed over; nothing is known of it."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True)
class Accepted:
    """Its receipt was given: from now on it is promised."""

    number: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Shipped:
    """The centre has seen these events under these numbers: no other may ever get them."""

    events: dict[int, bytes]


class Life:
    """One run of the collector's spool, from opening to closing."""

    def __init__(self, recorder: Recorder, spool: Spool, name: str, seed: int) -> None:
        self._recorder, self._spool, self._name, self._seed = recorder, spool, name, seed
        self._numbers = iter(range(1_000_000))
        self._lock = threading.Lock()

    def work(self, changes: int) -> None:
        """Every part makes about `changes` changes, all at once."""
        parts = [
            partial(self._app, "a", changes),
            partial(self._app, "b", changes),
            partial(self._tail, changes),
            partial(self._ship, changes),
            partial(self._park, max(1, changes // 4)),
        ]
        failures: list[BaseException] = []

        def run(part: partial[None], seed: int) -> None:
            try:
                part(Random(seed))
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=run, args=(part, self._seed * 100 + number))
            for number, part in enumerate(parts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _submit(self, change: Change) -> "Future[Receipt]":
        with self._lock:
            number = next(self._numbers) + self._seed * 1_000_000
        self._recorder.mark(Submitted(number, change))
        future = self._spool.submit(change)
        future.add_done_callback(lambda done: self._recorder.mark(Accepted(number, done.result())))
        return future

    def _app(self, who: str, changes: int, chance: Random) -> None:
        for number in range(changes):
            events = []
            for part in range(chance.choice((1, 1, 2, 5))):
                padding = "x" * chance.choice((0, 40, 700, 6000))
                events.append(
                    f'{{"id":"{self._name}-{who}-{number}-{part}","p":"{padding}"}}'.encode()
                )
            future = self._submit(Change(events=events))
            if chance.random() < 0.8:
                future.result(_TIMEOUT)

    def _tail(self, changes: int, _chance: Random) -> None:
        """The n-th line of the log moves the position to n + 1."""
        positions = self._spool.read_positions(LOG)
        line = positions[-1].offset if positions else 0
        for number in range(line, line + changes):
            position = Position(LOG, 1, 2, 3, b"head", number + 1)
            event = b'"source":"edge-1/nginx","line":%d}' % number
            change = Change(events=[event], made_here=True, positions=[position])
            self._submit(change).result(_TIMEOUT)

    def _ship(self, changes: int, chance: Random) -> None:
        for _ in range(changes):
            identity = self._spool.state.identity
            after = identity.acked_seq
            if chance.random() < 0.5:  # not in order: newer ones overtake
                after = max([identity.next_seq - 4, after, *[last for _, last in identity.ahead]])
            first_seq, bodies = self._spool.read_events(after, chance.randrange(1, 12), 1 << 20)
            if not bodies:
                continue
            self._recorder.mark(Shipped(dict(enumerate(bodies, first_seq))))
            sealed_through = f"2026-11-23T09:{chance.randrange(60):02d}:00.000Z"
            ack = Ack(first_seq, first_seq + len(bodies) - 1, sealed_through)
            self._submit(Change(ack=ack)).result(_TIMEOUT)

    def _park(self, changes: int, chance: Random) -> None:
        for number in range(changes):
            body = f"{self._name}-{number}".encode() + b"?" * chance.choice((0, 5000))
            self._submit(Change(parked=[Parked("nginx", "log", "invalid_json", body)])).result(
                _TIMEOUT
            )


@contextmanager
def opened(recorder: Recorder, root: Path, name: str, seed: int) -> Iterator[Life]:
    """The spool as the collector opens it, with small steps of the WAL so that it often begins
    anew. Ships at once what it holds; is closed at the end."""
    lock = DirectoryLock(root / SPOOL)
    spool = Spool(root / SPOOL, NODE, max_bytes=1 << 30)
    try:
        assert spool._connection is not None
        spool._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        recorder.mark(Opened(spool.state.identity))
        recorder.mark(Shipped(held_events(spool)))
        yield Life(recorder, spool, name, seed)
    finally:
        spool.close()
        lock.release()


def held_events(spool: Spool) -> dict[int, bytes]:
    """Every event that the product would still send, by its sequence."""
    identity = spool.state.identity
    events: dict[int, bytes] = {}
    for after in (identity.acked_seq, *[last for _, last in identity.ahead]):
        first_seq, bodies = spool.read_events(after, 1_000_000, 1 << 40)
        events.update(enumerate(bodies, first_seq))
    return events
