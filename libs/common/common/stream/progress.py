"""Leases and positions in PostgreSQL: who owns a partition, and what of it has taken effect.

`Progress` is the protocol that the processor runs on; a model of it in memory serves simulation.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import asyncpg

from common.stream.position import Position


class Fenced(Exception):
    """Somebody else owns the partition, or the position is not what was expected. Nothing of the
    step was written; forget the partition."""


class Session(Protocol):
    """The connection of one partition's owner."""

    connection: Any

    def step(
        self, expected: Position, moved: Position, lease_seconds: float
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction that compares the position with `expected`, moves it to `moved`, renews
        the lease, and commits when the block ends. Raises `Fenced` before the block runs.

        When the commit itself raises, its outcome is unknown: drop the session and claim again.
        """
        ...

    async def release(self, position: Position) -> None:
        """Give the lease back, keeping `emitted_offset`; does nothing when fenced."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Progress(Protocol):
    """Leases of the partitions of one topic."""

    async def heartbeat(self, topic: str, worker: str, lease_seconds: float) -> int:
        """Say that `worker` lives, and return how many workers of the topic live."""
        ...

    async def leave(self, topic: str, worker: str) -> None:
        """Say that `worker` has gone."""
        ...

    async def claim(
        self, topic: str, partition: int, worker: str, lease_seconds: float, beginning: int
    ) -> Position | None:
        """Take the partition if it is free, expired or `worker`'s own; None otherwise.

        The epoch grows, so whoever held it before can commit no more. A partition never claimed
        starts at `beginning`.
        """
        ...

    async def renew(self, position: Position, lease_seconds: float) -> None:
        """Keep the lease while no step does; raises `Fenced` when it is another's by now.

        Runs beside the owner's session and never waits for a step of it.
        """
        ...

    async def session(self, position: Position) -> Session:
        """A connection for the owner of `position`'s partition."""
        ...


class PostgresProgress:
    """`Progress` in the kernel's tables of `schema`; expiry is judged by the database's clock."""

    def __init__(self, pool: asyncpg.Pool, schema: str, database_url: str) -> None:
        self._pool, self._schema, self._url = pool, schema, database_url

    async def heartbeat(self, topic: str, worker: str, lease_seconds: float) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                f"""
                INSERT INTO {self._schema}.workers (topic, worker, expires_at)
                VALUES ($1, $2, now() + make_interval(secs => $3))
                ON CONFLICT (topic, worker) DO UPDATE SET expires_at = excluded.expires_at
                """,
                topic,
                worker,
                lease_seconds,
            )
            await connection.execute(
                f"DELETE FROM {self._schema}.workers WHERE expires_at < now() - interval '1 hour'"
            )
            live: int = await connection.fetchval(
                f"SELECT count(*) FROM {self._schema}.workers"
                " WHERE topic = $1 AND expires_at > now()",
                topic,
            )
        return live

    async def leave(self, topic: str, worker: str) -> None:
        await self._pool.execute(
            f"DELETE FROM {self._schema}.workers WHERE topic = $1 AND worker = $2", topic, worker
        )

    async def claim(
        self, topic: str, partition: int, worker: str, lease_seconds: float, beginning: int
    ) -> Position | None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                f"""
                INSERT INTO {self._schema}.partition_progress
                    (topic, partition, next_offset, emitted_offset)
                SELECT $1, $2, $3, $3
                -- ON CONFLICT alone would wait for a step that has the row locked.
                WHERE NOT EXISTS (
                    SELECT FROM {self._schema}.partition_progress
                    WHERE topic = $1
                      AND partition = $2
                )
                ON CONFLICT DO NOTHING
                """,
                topic,
                partition,
                beginning,
            )
            row = await connection.fetchrow(
                f"""
                UPDATE {self._schema}.partition_progress
                SET owner = $3,
                    epoch = epoch + 1,
                    lease_expires_at = clock_timestamp() + make_interval(secs => $4)
                WHERE (topic, partition) = (
                    -- A row that is locked belongs to an owner in the middle of a step.
                    SELECT topic, partition
                    FROM {self._schema}.partition_progress
                    WHERE topic = $1
                      AND partition = $2
                      AND (owner IS NULL OR owner = $3 OR lease_expires_at < clock_timestamp())
                    FOR UPDATE SKIP LOCKED
                )
                RETURNING topic, partition, epoch, next_offset, emitted_offset,
                          seen, watermarks, inputs, watermark_ms
                """,
                topic,
                partition,
                worker,
                lease_seconds,
            )
            if row is None:
                await self._end_frozen(connection, topic, partition, lease_seconds)
        return position_of(row) if row is not None else None

    async def renew(self, position: Position, lease_seconds: float) -> None:
        async with self._pool.acquire() as connection:
            await connection.execute(
                f"""
                UPDATE {self._schema}.partition_progress
                SET lease_expires_at = clock_timestamp() + make_interval(secs => $4)
                WHERE (topic, partition) = (
                    SELECT topic, partition
                    FROM {self._schema}.partition_progress
                    WHERE topic = $1
                      AND partition = $2
                      AND epoch = $3
                    FOR UPDATE SKIP LOCKED
                )
                """,
                position.topic,
                position.partition,
                position.epoch,
                lease_seconds,
            )
            epoch = await connection.fetchval(
                f"""
                SELECT epoch
                FROM {self._schema}.partition_progress
                WHERE topic = $1
                  AND partition = $2
                """,
                position.topic,
                position.partition,
            )
        if epoch != position.epoch:
            raise Fenced(f"{position.topic}/{position.partition} epoch {position.epoch}")

    async def session(self, position: Position) -> Session:
        from common.db import connect

        name = session_name(position.topic, position.partition)
        return _PostgresSession(await connect(self._url, name=name), self._schema)

    async def _end_frozen(
        self, connection: Any, topic: str, partition: int, lease_seconds: float
    ) -> None:
        """End the session of an owner that is frozen in the middle of a step.

        Its lease has run out, and the database has waited for it longer than a lease: in that
        time it holds the locks of its step, and nobody could take over. A slow statement is not
        such a wait. Ending a session of one's own role needs no privilege.
        """
        await connection.execute(
            f"""
            SELECT pg_terminate_backend(pid)
            FROM pg_stat_activity
            WHERE application_name = $3
              AND datname = current_database()
              AND usename = current_user
              AND state <> 'idle'
              AND wait_event_type = 'Client'
              AND state_change < clock_timestamp() - make_interval(secs => $4)
              AND EXISTS (
                  SELECT FROM {self._schema}.partition_progress
                  WHERE topic = $1
                    AND partition = $2
                    AND lease_expires_at < clock_timestamp()
              )
            """,
            topic,
            partition,
            session_name(topic, partition),
            lease_seconds,
        )


class _PostgresSession:
    def __init__(self, connection: asyncpg.Connection, schema: str) -> None:
        self.connection = connection
        self._schema = schema

    @asynccontextmanager
    async def step(
        self, expected: Position, moved: Position, lease_seconds: float
    ) -> AsyncIterator[asyncpg.Connection]:
        async with self.connection.transaction():
            # The compare-and-set comes first: it locks the row, so a zombie never writes beside
            # its successor, and everything after it is either committed with it or not at all.
            status = await self.connection.execute(
                f"""
                UPDATE {self._schema}.partition_progress
                SET next_offset = $5,
                    emitted_offset = $6,
                    seen = $7,
                    watermarks = $8,
                    inputs = $9,
                    watermark_ms = $10,
                    lease_expires_at = clock_timestamp() + make_interval(secs => $11)
                WHERE topic = $1
                  AND partition = $2
                  AND epoch = $3
                  AND next_offset = $4
                """,
                expected.topic,
                expected.partition,
                expected.epoch,
                expected.next_offset,
                moved.next_offset,
                moved.emitted_offset,
                dict(moved.seen),
                dict(moved.watermarks),
                moved.inputs,
                moved.watermark_ms,
                lease_seconds,
            )
            if status != "UPDATE 1":
                raise Fenced(f"{expected.topic}/{expected.partition} epoch {expected.epoch}")
            yield self.connection

    async def release(self, position: Position) -> None:
        await self.connection.execute(
            f"""
            UPDATE {self._schema}.partition_progress
            SET owner = NULL,
                lease_expires_at = NULL,
                emitted_offset = greatest(emitted_offset, $4)
            WHERE topic = $1
              AND partition = $2
              AND epoch = $3
            """,
            position.topic,
            position.partition,
            position.epoch,
            position.emitted_offset,
        )

    async def close(self) -> None:
        try:
            await self.connection.close(timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.connection.terminate()


def session_name(topic: str, partition: int) -> str:
    """How the database lists the connection of a partition's owner."""
    return f"tollgate {topic}/{partition}"


def position_of(row: asyncpg.Record) -> Position:
    """A row of partition_progress as a position."""
    return Position(
        topic=row["topic"],
        partition=row["partition"],
        epoch=row["epoch"],
        next_offset=row["next_offset"],
        emitted_offset=row["emitted_offset"],
        seen={int(origin): offset for origin, offset in row["seen"].items()},
        watermarks={int(origin): at for origin, at in row["watermarks"].items()},
        inputs=row["inputs"],
        watermark_ms=row["watermark_ms"],
    )
