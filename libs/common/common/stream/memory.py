"""Leases, positions and tables in memory: the model that simulation runs the processor on.

It keeps what PostgreSQL keeps of the kernel's promises: a step is one transaction behind a row
lock, a claim passes over locked rows, and a transaction that stays idle too long is ended.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
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


@dataclass
class _Row:
    position: Position
    owner: str | None = None
    lease_expires_at: float = 0.0
    holder: "MemorySession | None" = None
    """The session whose transaction has the row locked."""


@dataclass
class MemoryStore:
    """One database. `clock`: seconds, the database's own.

    `compares_epoch` and `compares_offset` take a protection away when they are off, so that a
    test can show what it is there for.
    """

    clock: Callable[[], float]
    idle_seconds: float = 30.0
    compares_epoch: bool = True
    compares_offset: bool = True
    tables: dict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    rows: dict[tuple[str, int], _Row] = field(default_factory=dict)
    workers: dict[tuple[str, str], float] = field(default_factory=dict)

    def position(self, topic: str, partition: int) -> Position | None:
        """What is committed about a partition."""
        row = self.rows.get((topic, partition))
        return row.position if row is not None else None

    def end_idle_transaction(self, row: _Row) -> None:
        """Do what idle_in_transaction_session_timeout does."""
        holder = row.holder
        if holder is not None and self.clock() - holder.active_at > self.idle_seconds:
            holder.killed, row.holder = True, None


class MemoryTransaction:
    """Reads see the transaction's own writes; nobody else does until the commit."""

    def __init__(self, store: MemoryStore, point: Hook) -> None:
        self._store, self._point = store, point
        self._writes: dict[tuple[str, Any], Any] = {}

    async def get(self, table: str, key: Any, default: Any = None) -> Any:
        await self._point("get")
        value = self._writes.get((table, key), self._store.tables[table].get(key, default))
        return default if value is _GONE else value

    async def put(self, table: str, key: Any, value: Any) -> None:
        await self._point("put")
        self._writes[table, key] = value

    async def delete(self, table: str, key: Any) -> None:
        await self._point("delete")
        self._writes[table, key] = _GONE

    def apply(self) -> None:
        """Make the writes everybody's."""
        for (table, key), value in self._writes.items():
            if value is _GONE:
                self._store.tables[table].pop(key, None)
            else:
                self._store.tables[table][key] = value


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
        self._store.end_idle_transaction(row)
        now = self._store.clock()
        free = row.owner is None or row.owner == worker or row.lease_expires_at < now
        if row.holder is not None or not free:
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
        if row.holder is None:
            row.lease_expires_at = self._store.clock() + lease_seconds
        await self._hook("renew done")

    async def session(self, position: Position) -> Session:
        await self._hook("connect")
        return MemorySession(self._store, self._hook)


class MemorySession:
    """`Session` on a `MemoryStore`. `connection` reads outside of a transaction."""

    def __init__(self, store: MemoryStore, hook: Hook) -> None:
        self._store, self._hook = store, hook
        self.active_at = store.clock()
        self.killed = False
        self.connection: Any = MemoryTransaction(store, self._point)

    @asynccontextmanager
    async def step(
        self, expected: Position, moved: Position, lease_seconds: float
    ) -> AsyncIterator[MemoryTransaction]:
        await self._point("begin")
        row = self._store.rows[expected.topic, expected.partition]
        await self._lock(row)
        try:
            known = row.position
            fenced = self._store.compares_epoch and known.epoch != expected.epoch
            fenced |= self._store.compares_offset and known.next_offset != expected.next_offset
            if fenced:
                raise Fenced(f"{expected.topic}/{expected.partition} epoch {expected.epoch}")
            await self._point("compared")
            transaction = MemoryTransaction(self._store, self._point)
            yield transaction
            await self._point("commit")
            transaction.apply()
            row.position = msgspec.structs.replace(moved, epoch=known.epoch)
            row.lease_expires_at = self._store.clock() + lease_seconds
        finally:
            if row.holder is self:
                row.holder = None
        # A hook that raises here is a commit whose answer was lost.
        await self._point("committed")

    async def release(self, position: Position) -> None:
        await self._point("release")
        row = self._store.rows[position.topic, position.partition]
        if row.position.epoch == position.epoch:
            emitted = max(row.position.emitted_offset, position.emitted_offset)
            row.position = msgspec.structs.replace(row.position, emitted_offset=emitted)
            row.owner = None
        await self._point("released")

    async def close(self) -> None:
        """Nothing to close."""

    async def _lock(self, row: _Row) -> None:
        while row.holder is not None:
            self._store.end_idle_transaction(row)
            await asyncio.sleep(LOCK_POLL_SECONDS)
        row.holder, self.active_at = self, self._store.clock()

    async def _point(self, name: str) -> None:
        await self._hook(name)
        if self.killed:
            raise ConnectionResetError("the server ended an idle transaction")
        self.active_at = self._store.clock()
