"""Leases, positions and tables in memory: the model that simulation runs the processor on.

It keeps what PostgreSQL keeps of the kernel's promises: a step is one transaction behind a row
lock, others wait for a locked row, a claim passes over it, a circle of waiting transactions is
broken, and a transaction that stays idle too long is ended. Isolation is READ COMMITTED.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.stream.position import Position
from common.stream.progress import Fenced, Session

Hook = Callable[[str], Awaitable[None]]
"""Awaited before and after everything that leaves the process, with the name of the point. It may
sleep (a slow or frozen process) or raise (a crash, or a connection that broke)."""

LOCK_POLL_SECONDS = 0.05
_GONE = object()
Place = tuple[str, Any]
"""(table, key)"""


class InFlight(ConnectionResetError):
    """The connection broke while a commit was under way, which takes effect `seconds` later."""

    def __init__(self, point: str, seconds: float) -> None:
        super().__init__(point)
        self.seconds = seconds


@dataclass
class _Row:
    position: Position
    owner: str | None = None
    lease_expires_at: float = 0.0


@dataclass
class MemoryStore:
    """One database. `clock`: seconds, the database's own. `on_commit` sees each committed step.

    `compares_epoch` and `compares_offset` take a protection away when they are off, so that a
    test can show what it is there for.
    """

    clock: Callable[[], float]
    idle_seconds: float = 30.0
    compares_epoch: bool = True
    compares_offset: bool = True
    on_commit: Callable[[Position], None] | None = None
    tables: dict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    sequences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rows: dict[tuple[str, int], _Row] = field(default_factory=dict)
    workers: dict[tuple[str, str], float] = field(default_factory=dict)
    locks: dict[Place, "MemorySession"] = field(default_factory=dict)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def position(self, topic: str, partition: int) -> Position | None:
        """What is committed about a partition."""
        row = self.rows.get((topic, partition))
        return row.position if row is not None else None

    def next_value(self, sequence: str) -> int:
        """The next value of a sequence, which no rollback gives back."""
        self.sequences[sequence] += 1
        return self.sequences[sequence]

    def holder(self, place: Place, idle_seconds: float | None = None) -> "MemorySession | None":
        """The session whose transaction has the row locked. One that has been idle for
        `idle_seconds` (as a rule, what idle_in_transaction_session_timeout says) is ended."""
        session = self.locks.get(place)
        idle_seconds = self.idle_seconds if idle_seconds is None else idle_seconds
        if session is not None and self.clock() - session.active_at > idle_seconds:
            session.killed = True
            session.release_locks()
            return None
        return session


class MemoryTransaction:
    """Reads see the transaction's own writes; nobody else does until the commit.

    A statement awaits `statement` once, and then reads and writes at one instant.
    """

    def __init__(self, session: "MemorySession") -> None:
        self._session, self._store = session, session.store
        self._writes: dict[str, dict[Any, Any]] = defaultdict(dict)

    async def statement(self, name: str) -> None:
        """The way of a statement to the database; `name` says what it does."""
        await self._session.pass_point(name)

    async def lock(self, table: str, key: Any) -> None:
        """Wait for whoever has the row locked, and keep it locked until the transaction ends."""
        await self._session.lock((table, key))

    def read(self, table: str, key: Any, default: Any = None) -> Any:
        """The value of a row, or `default`."""
        value = self._writes[table].get(key, self._store.tables[table].get(key, default))
        return default if value is _GONE else value

    def scan(self, table: str) -> Iterator[tuple[Any, Any]]:
        """Keys and values of all rows."""
        known, own = self._store.tables[table], self._writes[table]
        if own:
            known = known | own
        return ((key, value) for key, value in known.items() if value is not _GONE)

    def write(self, table: str, key: Any, value: Any) -> None:
        self._writes[table][key] = value

    def remove(self, table: str, key: Any) -> None:
        self._writes[table][key] = _GONE

    def has_written(self, table: str, key: Any) -> bool:
        """Whether this transaction has written the row."""
        return key in self._writes[table]

    def next_value(self, sequence: str) -> int:
        return self._store.next_value(sequence)

    def positions(self, topic: str) -> list[Position]:
        """The committed positions of a topic, by partition."""
        rows = self._store.rows.items()
        return [row.position for (of, _), row in sorted(rows, key=_by_place) if of == topic]

    async def get(self, table: str, key: Any, default: Any = None) -> Any:
        await self.statement("get")
        return self.read(table, key, default)

    async def put(self, table: str, key: Any, value: Any) -> None:
        await self.statement("put")
        self.write(table, key, value)

    async def delete(self, table: str, key: Any) -> None:
        await self.statement("delete")
        self.remove(table, key)

    def apply(self) -> None:
        """Make the writes everybody's."""
        for table, writes in self._writes.items():
            rows = self._store.tables[table]
            for key, value in writes.items():
                if value is _GONE:
                    rows.pop(key, None)
                else:
                    rows[key] = value
        self._writes.clear()


class MemoryConnection(MemoryTransaction):
    """Outside of a transaction: each write is everybody's at once."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction of its own."""
        transaction = MemoryTransaction(self._session)
        async with self._session.committing(transaction, transaction.apply):
            yield transaction

    def write(self, table: str, key: Any, value: Any) -> None:
        super().write(table, key, value)
        self.apply()

    def remove(self, table: str, key: Any) -> None:
        super().remove(table, key)
        self.apply()


class MemoryProgress:
    """`Progress` on a `MemoryStore`, for one worker whose doings pass through `hook`."""

    def __init__(self, store: MemoryStore, hook: Hook) -> None:
        self._store, self._hook = store, hook

    async def heartbeat(self, topic: str, worker: str, lease_seconds: float) -> int:
        await self._hook("heartbeat")
        now = self._store.clock()
        self._store.workers[topic, worker] = now + lease_seconds
        live = sum(at > now for (of, _), at in self._store.workers.items() if of == topic)
        await self._hook("heartbeat done")
        return live

    async def leave(self, topic: str, worker: str) -> None:
        await self._hook("leave")
        self._store.workers.pop((topic, worker), None)

    async def claim(
        self, topic: str, partition: int, worker: str, lease_seconds: float, beginning: int
    ) -> Position | None:
        await self._hook("claim")
        new = Position(
            topic=topic, partition=partition, next_offset=beginning, emitted_offset=beginning
        )
        row = self._store.rows.setdefault((topic, partition), _Row(new))
        now = self._store.clock()
        expired = row.lease_expires_at < now
        holder = self._store.holder(_place(new), lease_seconds if expired else None)
        free = row.owner is None or row.owner == worker or expired
        if holder is not None or not free:
            return None
        row.position = msgspec.structs.replace(row.position, epoch=row.position.epoch + 1)
        row.owner, row.lease_expires_at = worker, now + lease_seconds
        claimed = row.position
        await self._hook("claim done")
        return claimed

    async def renew(self, position: Position, lease_seconds: float) -> None:
        await self._hook("renew")
        row = self._store.rows[position.topic, position.partition]
        if row.position.epoch != position.epoch:
            raise Fenced(f"{position.topic}/{position.partition} epoch {position.epoch}")
        if self._store.holder(_place(position)) is None:
            row.lease_expires_at = self._store.clock() + lease_seconds
        await self._hook("renew done")

    async def session(self, position: Position) -> Session:
        await self._hook("connect")
        return MemorySession(self._store, self._hook)


class MemorySession:
    """`Session` on a `MemoryStore`. `connection` reads outside of a transaction."""

    def __init__(self, store: MemoryStore, hook: Hook) -> None:
        self.store, self._hook = store, hook
        self.active_at = store.clock()
        self.killed = self._broken = False
        self.connection: Any = MemoryConnection(self)
        self._held: set[Place] = set()
        self._waits_for: MemorySession | None = None

    @asynccontextmanager
    async def step(
        self, expected: Position, moved: Position, lease_seconds: float
    ) -> AsyncIterator[MemoryTransaction]:
        row = self.store.rows[expected.topic, expected.partition]
        transaction = MemoryTransaction(self)

        def finish() -> None:
            transaction.apply()
            row.position = msgspec.structs.replace(moved, epoch=row.position.epoch)
            row.lease_expires_at = self.store.clock() + lease_seconds
            if self.store.on_commit is not None:
                self.store.on_commit(row.position)

        async with self.committing(transaction, finish):
            await self.lock(_place(expected))
            known = row.position
            fenced = self.store.compares_epoch and known.epoch != expected.epoch
            fenced |= self.store.compares_offset and known.next_offset != expected.next_offset
            if fenced:
                raise Fenced(f"{expected.topic}/{expected.partition} epoch {expected.epoch}")
            await self.pass_point("compared")
            yield transaction

    async def release(self, position: Position) -> None:
        await self.pass_point("release")
        row = self.store.rows[position.topic, position.partition]
        if row.position.epoch == position.epoch:
            emitted = max(row.position.emitted_offset, position.emitted_offset)
            row.position = msgspec.structs.replace(row.position, emitted_offset=emitted)
            row.owner = None
        await self.pass_point("released")

    async def close(self) -> None:
        """Nothing to close."""

    @asynccontextmanager
    async def committing(
        self, transaction: MemoryTransaction, finish: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Commit by `finish` at the end of the block, roll back when it raises."""
        await self.pass_point("begin")
        in_flight = False
        try:
            yield
            try:
                await self.pass_point("commit")
            except InFlight as lost:
                in_flight = self._broken = True
                self._finish_later(lost.seconds, finish)
                raise
            finish()
        finally:
            if not in_flight:
                self.release_locks()
        # A hook that raises here is a commit whose answer was lost.
        await self.pass_point("committed")

    async def lock(self, place: Place) -> None:
        """Wait for the row. Raises where the wait would never end, as a database would."""
        while (holder := self.store.holder(place)) is not None and holder is not self:
            self._waits_for = holder
            if self._waits_in_a_circle():
                self._waits_for = None
                raise ConnectionResetError("deadlock detected")
            await asyncio.sleep(LOCK_POLL_SECONDS)
            self.active_at = self.store.clock()
        self._waits_for = None
        self.store.locks[place] = self
        self._held.add(place)

    def release_locks(self) -> None:
        """What the end of a transaction does."""
        for place in self._held:
            if self.store.locks.get(place) is self:
                del self.store.locks[place]
        self._held.clear()

    async def pass_point(self, name: str) -> None:
        """Go through the hook; raises when the session has ended."""
        await self._hook(name)
        if self.killed:
            raise ConnectionResetError("the server ended an idle transaction")
        if self._broken:
            raise ConnectionResetError("the connection broke before")
        self.active_at = self.store.clock()

    def _finish_later(self, seconds: float, finish: Callable[[], None]) -> None:
        async def arrive() -> None:
            await asyncio.sleep(seconds)
            if not self.killed:
                finish()
                self.release_locks()

        task = asyncio.create_task(arrive())
        self.store.under_way.add(task)
        task.add_done_callback(self.store.under_way.discard)

    def _waits_in_a_circle(self) -> bool:
        other = self._waits_for
        while other is not None:
            if other is self:
                return True
            other = other._waits_for
        return False


def _by_place(item: tuple[tuple[str, int], _Row]) -> tuple[str, int]:
    return item[0]


def _place(position: Position) -> Place:
    return "partition_progress", (position.topic, position.partition)
