"""The one writer of the spool: a thread that turns waiting changes into one transaction and fsync.

Contract of `Spool.submit`:
- a change is applied whole or not at all, together with everything else in it (events, positions of
  tailed files, parked items, an acknowledgement);
- its future gets a `Receipt` only after the commit has returned, that is, after the fsync;
- sequences are given in the same transaction, in order and without holes;
- changes are applied in the order of submission.

After any failed commit the file is opened again and the state is read from it: the outcome of a
failed commit is unknown, so nothing in memory is believed.
"""

import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from collector.lanes import waiting
from collector.spool import store
from collector.spool.values import Identity, Parked, ParkedRow, Position

log = structlog.get_logger(__name__)

SPOOL_FILE = "spool.sqlite"
_CHANGES_A_COMMIT = 256
_BYTES_A_COMMIT = 4 * 1024 * 1024
_ROW_OVERHEAD_BYTES = 24


class SpoolFullError(Exception):
    """The disk budget or the disk is used up: old usage is kept, new usage is refused."""


class SpoolBrokenError(Exception):
    """The spool file cannot be written now; nothing of the change is known to be kept."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The centre has the events from `first_seq` to `last_seq`, and knows our seal."""

    first_seq: int
    last_seq: int
    sealed_through: str


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes durable together.

    `events`     bodies of CloudEvents, JSON bytes.
    `made_here`  the events are the node's own and lack their id: each body begins after the `id`
                 member, as `"source":...}`, and the writer puts `{"id":"<epoch>-<seq>",` before it.
    """

    events: Sequence[bytes] = ()
    made_here: bool = False
    positions: Sequence[Position] = ()
    parked: Sequence[Parked] = ()
    ack: Ack | None = None

    @property
    def size(self) -> int:
        """Bytes that this change adds to the spool, about."""
        return sum(len(body) + _ROW_OVERHEAD_BYTES for body in self.events) + sum(
            len(item.body) + len(item.reason) + _ROW_OVERHEAD_BYTES for item in self.parked
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """The sequences given: `first_seq` up to and without `next_seq`."""

    first_seq: int
    next_seq: int


@dataclass(frozen=True, slots=True)
class State:
    """The spool as of the last commit."""

    identity: Identity
    used_bytes: int
    parked: int
    full: bool = False
    error: str | None = None

    @property
    def unsent(self) -> int:
        """Events that the centre has not acknowledged."""
        identity = self.identity
        return waiting(identity.acked_seq, identity.ahead, identity.next_seq)

    @property
    def backlog(self) -> int:
        """Those of them that newer events have overtaken."""
        identity = self.identity
        if not identity.ahead:
            return 0
        return waiting(identity.acked_seq, identity.ahead, identity.ahead[-1][1] + 1)


T = TypeVar("T")
_Job = tuple[Change, "Future[Receipt]"]


class Spool:
    """The spool of one node. Thread-safe; one process at a time (the caller holds the lock)."""

    def __init__(
        self, directory: Path, node: str, *, max_bytes: int, min_free_bytes: int = 0
    ) -> None:
        self.path = directory / SPOOL_FILE
        self._node = node
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._reader_lock = threading.Lock()
        self._connect()
        self._reader = store.open_reader(self.path)
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    state: State

    def submit(self, change: Change) -> "Future[Receipt]":
        """Queues a change. The future fails with SpoolFullError or SpoolBrokenError."""
        future: Future[Receipt] = Future()
        future.set_running_or_notify_cancel()  # a waiter that gives up must not stop the commit
        self._queue.put((change, future))
        return future

    def read_events(self, after_seq: int, limit: int, max_bytes: int) -> tuple[int, list[bytes]]:
        """Committed unsent events after `after_seq`; see `store.read_events`."""
        return self._read(lambda reader: store.read_events(reader, after_seq, limit, max_bytes))

    def read_positions(self, path: str) -> list[Position]:
        """Committed positions of a tailed file."""
        return self._read(lambda reader: store.read_positions(reader, path))

    def read_parked(self, after: int, limit: int) -> list[ParkedRow]:
        """What was parked, oldest first."""
        return self._read(lambda reader: store.read_parked(reader, after, limit))

    def close(self) -> None:
        """Writes what is queued, then closes the file."""
        self._queue.put(None)
        self._thread.join()
        with self._reader_lock:
            self._reader.close()
        if self._connection is not None:
            self._connection.close()

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        with self._reader_lock:
            return query(self._reader)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            jobs: list[_Job] = []
            size = 0
            job = self._queue.get()
            while True:
                if job is None:
                    stopping = True
                    break
                jobs.append(job)
                size += job[0].size
                if len(jobs) >= _CHANGES_A_COMMIT or size >= _BYTES_A_COMMIT:
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                self._write(jobs)

    def _write(self, jobs: list[_Job]) -> None:
        """One transaction for all `jobs`; then, and only then, their answers."""
        try:
            connection = self._connection or self._connect()
            connection.execute("BEGIN IMMEDIATE")
            receipts = self._apply(connection, [change for change, _ in jobs])
            connection.execute("COMMIT")
            self._publish(connection, full=any(receipt is None for receipt in receipts))
        except Exception as error:  # whatever it is: no caller may wait for ever
            failure = self._failed(error)
            for _, future in jobs:
                future.set_exception(failure)
            return
        for (_, future), receipt in zip(jobs, receipts, strict=True):
            if receipt is None:
                future.set_exception(SpoolFullError("the spool's disk budget is used up"))
            else:
                future.set_result(receipt)

    def _apply(self, connection: sqlite3.Connection, changes: list[Change]) -> list[Receipt | None]:
        """Receipts in order; None for a change that does not fit into the budget."""
        identity = store.read_identity(connection)
        next_seq = identity.next_seq
        room = self._max_bytes - store.used_bytes(connection)
        if self._min_free_bytes:
            free = shutil.disk_usage(self.path.parent).free
            room = min(room, free - self._min_free_bytes)
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        receipts: list[Receipt | None] = []
        bodies: list[bytes] = []
        first_seq = next_seq
        for change in changes:
            size = change.size
            if size and size > room and change.ack is None:
                receipts.append(None)
                continue
            room -= size
            receipts.append(Receipt(next_seq, next_seq + len(change.events)))
            if change.made_here:
                epoch = identity.epoch.encode()
                bodies += [
                    b'{"id":"%b-%d",%b' % (epoch, seq, body)
                    for seq, body in enumerate(change.events, next_seq)
                ]
            else:
                bodies += change.events
            next_seq += len(change.events)
            for position in change.positions:
                store.put_position(connection, position)
            if change.parked:
                store.insert_parked(connection, change.parked, now)
            if change.ack is not None:
                ack = change.ack
                store.delete_taken(connection, ack.first_seq, ack.last_seq, ack.sealed_through)
        if bodies:
            store.insert_events(connection, first_seq, bodies)
        return receipts

    def _publish(self, connection: sqlite3.Connection, *, full: bool) -> None:
        if full and not self.state.full:
            log.error("spool_full", max_bytes=self._max_bytes, used_bytes=self.state.used_bytes)
        self.state = State(
            identity=store.read_identity(connection),
            used_bytes=store.used_bytes(connection),
            parked=store.count_parked(connection),
            full=full,
        )

    def _connect(self) -> sqlite3.Connection:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._connection = store.open_store(self.path, self._node, now)
        self.state = State(
            identity=store.read_identity(self._connection),
            used_bytes=store.used_bytes(self._connection),
            parked=store.count_parked(self._connection),
        )
        return self._connection

    def _failed(self, error: Exception) -> SpoolFullError | SpoolBrokenError:
        """Forgets the connection, so that the next change starts from what is on disk."""
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        log.error("spool_write_failed", error=str(error), disk_full=full)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self.state = State(
            identity=self.state.identity,
            used_bytes=self.state.used_bytes,
            parked=self.state.parked,
            full=full,
            error=str(error),
        )
        if full:
            return SpoolFullError("the disk is full")
        return SpoolBrokenError(f"the spool cannot be written: {error}")
