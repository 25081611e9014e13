"""Publishes rows of a table in the order of their revision, from one process at a time.

Writers take revisions from one counter row inside their transaction (`next_revision`), so a
revision is visible only when all smaller ones are. The publisher remembers the last one that was
acknowledged; after a crash it emits a little again, which receivers drop by revision.

A publisher that was frozen past its lease may append an old value behind a newer one. Receivers
drop it, but compaction would keep it. So whoever finds that it lost the lease sets the position
back, and a compacted topic is published whole once in a while, well within the time for which
topics are not compacted (`common.contracts.topics.COMPACTION_LAG_HOURS`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from common.bus.types import Bus, Record
from common.contracts.topics import Topic, partition_for
from common.stream.processor import LOST

log = logging.getLogger(__name__)

Fetch = Callable[[Any, int, int], Awaitable[Sequence[tuple[int, str, Record]]]]
"""(connection, after revision, limit) -> (revision, partition key, record), by revision."""

BATCH = 500
REFRESH_SECONDS = 3600.0
"""A compacted topic is published whole this often."""


async def next_revision(tx: Any, schema: str, name: str) -> int:
    """The next revision of `name`. Holds the counter's row until the transaction ends, so
    revisions become visible in their order."""
    revision: int = await tx.fetchval(
        f"""
        INSERT INTO {schema}.revisions (name, value)
        VALUES ($1, 1)
        ON CONFLICT (name) DO UPDATE SET value = revisions.value + 1
        RETURNING value
        """,
        name,
    )
    return revision


class Outbox:
    """Publishes what `fetch` finds to `topic`, under the lease `name`."""

    def __init__(
        self,
        *,
        pool: asyncpg.Pool,
        bus: Bus,
        schema: str,
        name: str,
        topic: Topic,
        fetch: Fetch,
        worker: str,
        lease_seconds: float = 10,
        every_seconds: float = 0.2,
    ) -> None:
        self._pool, self._bus, self._schema, self._name = pool, bus, schema, name
        self._topic, self._fetch, self._worker = topic, fetch, worker
        self._lease_seconds, self._every_seconds = lease_seconds, every_seconds
        self._stopping = asyncio.Event()
        self._refreshed_at: float | None = None

    async def run(self) -> None:
        """Publish until `stop`; survives a broker or database that goes away."""
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(60):
                    await self._publish_owned()
            except LOST as error:
                log.warning("outbox %s: %r; trying again", self._name, error)
            await self._pause(self._every_seconds)
        with contextlib.suppress(*LOST):
            await self._release()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    async def _publish_owned(self) -> None:
        clock = asyncio.get_running_loop().time
        async with self._pool.acquire() as connection:
            after = await self._claim(connection)
            if after is not None and self._refresh_is_due(clock()):
                await self._rewind(connection, 0)
                after = 0
            leased_at = clock()
            while after is not None and not self._stopping.is_set():
                rows = await self._fetch(connection, after, BATCH)
                if not rows or clock() - leased_at > self._lease_seconds / 2:
                    return  # the next round claims again before it appends
                await self._append(rows)
                before, after = after, await self._advance(connection, after, rows[-1][0])
                leased_at = clock()
                if after is None:
                    log.warning("outbox %s: the lease was lost while publishing", self._name)
                    await self._rewind(connection, before)

    def _refresh_is_due(self, now: float) -> bool:
        if self._refreshed_at is None:
            self._refreshed_at = now
        if not self._topic.compacted or now - self._refreshed_at < REFRESH_SECONDS:
            return False
        self._refreshed_at = now
        return True

    async def _append(self, rows: Sequence[tuple[int, str, Record]]) -> None:
        partitions = await self._bus.partitions(self._topic.name)
        batches: dict[int, list[Record]] = {}
        for _, key, record in rows:
            batches.setdefault(partition_for(key, partitions), []).append(record)
        await self._bus.append(self._topic.name, batches)

    async def _claim(self, connection: Any) -> int | None:
        """The last revision published, if the lease is ours; None otherwise."""
        await connection.execute(
            f"INSERT INTO {self._schema}.outboxes (name) VALUES ($1) ON CONFLICT DO NOTHING",
            self._name,
        )
        revision: int | None = await connection.fetchval(
            f"""
            UPDATE {self._schema}.outboxes
            SET owner = $2, lease_expires_at = now() + make_interval(secs => $3)
            WHERE name = $1
              AND (owner IS NULL OR owner = $2 OR lease_expires_at < now())
            RETURNING emitted_revision
            """,
            self._name,
            self._worker,
            self._lease_seconds,
        )
        return revision

    async def _advance(self, connection: Any, before: int, after: int) -> int | None:
        revision: int | None = await connection.fetchval(
            f"""
            UPDATE {self._schema}.outboxes
            SET emitted_revision = $3, lease_expires_at = now() + make_interval(secs => $4)
            WHERE name = $1
              AND owner = $5
              AND emitted_revision = $2
            RETURNING emitted_revision
            """,
            self._name,
            before,
            after,
            self._lease_seconds,
            self._worker,
        )
        return revision

    async def _rewind(self, connection: Any, revision: int) -> None:
        """Have everything above `revision` published again, by whoever holds the lease."""
        await connection.execute(
            f"""
            UPDATE {self._schema}.outboxes
            SET emitted_revision = least(emitted_revision, $2)
            WHERE name = $1
            """,
            self._name,
            revision,
        )

    async def _release(self) -> None:
        await self._pool.execute(
            f"UPDATE {self._schema}.outboxes SET owner = NULL WHERE name = $1 AND owner = $2",
            self._name,
            self._worker,
        )

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
