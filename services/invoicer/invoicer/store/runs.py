"""Runs: each is a row with a state, driven by whoever holds its lease."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from invoicer.completeness import Wait
from invoicer.invoice import Missing


class LostLease(Exception):
    """Another runner drives the run now; nothing of the transaction was written."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that the run could not invoice, and why; the others are not held up by it."""

    tenant: str
    currency: str
    reason: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A billing run. `waits`: what it waits for now; `missing`: what patience gave up on."""

    id: UUID
    through: datetime
    state: str
    created_at: datetime
    patience_end: datetime
    nodes_settled_at: datetime | None
    invoicing_at: datetime | None
    done_at: datetime | None
    waits: list[Wait]
    missing: list[Missing]
    left_out: list[LeftOut]
    traceparent: str | None
    epoch: int


_COLUMNS = """
    id, through, state, created_at, patience_end, nodes_settled_at, invoicing_at, done_at,
    waits, missing, left_out, traceparent, epoch
"""


async def create(
    tx: Any,
    *,
    id: UUID,
    through: datetime,
    now: datetime,
    patience_end: datetime,
    traceparent: str | None,
) -> tuple[Run, bool]:
    """The run through that instant, and whether it is new: there is one run an instant."""
    row = await tx.fetchrow(
        f"""
        INSERT INTO invoicer.runs (id, through, state, created_at, patience_end, traceparent)
        VALUES ($1, $2, 'waiting', $3, $4, $5)
        ON CONFLICT (through) DO NOTHING
        RETURNING {_COLUMNS}
        """,
        id,
        through,
        now,
        patience_end,
        traceparent,
    )
    if row is not None:
        return _run(row), True
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM invoicer.runs WHERE through = $1", through)
    return _run(row), False


async def find(connection: Any, id: UUID) -> Run | None:
    """The run with that id."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM invoicer.runs WHERE id = $1", id)
    return _run(row) if row is not None else None


async def newest(connection: Any, before: UUID | None, limit: int) -> list[Run]:
    """Runs, newest first, older than the run `before`."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM invoicer.runs
        WHERE $1::uuid IS NULL OR id < $1
        ORDER BY id DESC
        LIMIT $2
        """,
        before,
        limit,
    )
    return [_run(row) for row in rows]


async def claim(connection: Any, worker: str, lease_seconds: float) -> list[Run]:
    """Take or keep the leases of all open runs that nobody else holds, the earliest first.

    The epoch grows when a run changes hands, so a runner that was away can write no more.
    """
    rows = await connection.fetch(
        f"""
        UPDATE invoicer.runs
        SET owner = $1,
            epoch = epoch + CASE WHEN owner = $1 AND lease_expires_at > now() THEN 0 ELSE 1 END,
            lease_expires_at = now() + make_interval(secs => $2)
        WHERE id IN (
            SELECT id
            FROM invoicer.runs
            WHERE state <> 'done'
              AND (owner IS NULL OR owner = $1 OR lease_expires_at < now())
            ORDER BY through
            LIMIT 100
            FOR UPDATE SKIP LOCKED
        )
        RETURNING {_COLUMNS}
        """,
        worker,
        lease_seconds,
    )
    return sorted((_run(row) for row in rows), key=lambda run: run.through)


async def hold(tx: Any, run: Run, lease_seconds: float) -> None:
    """Renew the lease and keep the run's row until the transaction ends; raises `LostLease`."""
    status = await tx.execute(
        """
        UPDATE invoicer.runs
        SET lease_expires_at = now() + make_interval(secs => $3)
        WHERE id = $1 AND epoch = $2 AND state <> 'done'
        """,
        run.id,
        run.epoch,
        lease_seconds,
    )
    _owned(status, run)


async def wait(connection: Any, run: Run, waits: Sequence[Wait]) -> None:
    """Show what the run waits for; raises `LostLease`."""
    status = await connection.execute(
        "UPDATE invoicer.runs SET waits = $3 WHERE id = $1 AND epoch = $2 AND state <> 'done'",
        run.id,
        run.epoch,
        list(waits),
    )
    _owned(status, run)


async def settle_nodes(connection: Any, run: Run, at: datetime, missing: Sequence[Missing]) -> None:
    """The nodes need not be waited for any more, as of `at`; raises `LostLease`."""
    status = await connection.execute(
        """
        UPDATE invoicer.runs
        SET nodes_settled_at = $3, missing = $4
        WHERE id = $1 AND epoch = $2 AND nodes_settled_at IS NULL
        """,
        run.id,
        run.epoch,
        at,
        list(missing),
    )
    _owned(status, run)


async def begin(connection: Any, run: Run, at: datetime) -> None:
    """From waiting to invoicing; raises `LostLease`."""
    status = await connection.execute(
        """
        UPDATE invoicer.runs
        SET state = 'invoicing', invoicing_at = $3, waits = '[]'
        WHERE id = $1 AND epoch = $2 AND state = 'waiting'
        """,
        run.id,
        run.epoch,
        at,
    )
    _owned(status, run)


async def end(connection: Any, run: Run, at: datetime, left_out: Sequence[LeftOut]) -> None:
    """From invoicing to done; raises `LostLease`."""
    status = await connection.execute(
        """
        UPDATE invoicer.runs
        SET state = 'done', done_at = $3, left_out = $4, waits = '[]', owner = NULL
        WHERE id = $1 AND epoch = $2 AND state = 'invoicing'
        """,
        run.id,
        run.epoch,
        at,
        list(left_out),
    )
    _owned(status, run)


async def release(connection: Any, worker: str) -> None:
    """Give back the leases of a runner that ends."""
    await connection.execute("UPDATE invoicer.runs SET owner = NULL WHERE owner = $1", worker)


def _owned(status: str, run: Run) -> None:
    if status != "UPDATE 1":
        raise LostLease(f"run {run.id}, epoch {run.epoch}")


def _run(row: Any) -> Run:
    return msgspec.convert(dict(row), Run)
