"""Re-ratings, and the charges that they would change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

State = Literal["preview", "applied", "discarded"]
_COLUMNS = """
    id, created_at, created_by, reason, request, digest, summary, state, decided_at, decided_by
"""


class Rerate(msgspec.Struct, frozen=True, kw_only=True):
    """`request` as it was asked for; `decided_by`: who approved or discarded it."""

    id: str
    created_at: datetime
    created_by: str
    reason: str
    request: dict[str, Any]
    digest: bytes
    summary: dict[str, Any]
    state: State = "preview"
    decided_at: datetime | None = None
    decided_by: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A charge before (None: there was none) and after, as JSON."""

    number: int
    tenant: str
    charge: str
    before: dict[str, Any] | None
    after: dict[str, Any]


async def add(tx: Any, rerate: Rerate, lines: Sequence[Line]) -> None:
    await tx.execute(
        """
        INSERT INTO rating.rerates
            (id, created_at, created_by, reason, request, digest, summary, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'preview')
        """,
        rerate.id,
        rerate.created_at,
        rerate.created_by,
        rerate.reason,
        rerate.request,
        rerate.digest,
        rerate.summary,
    )
    await tx.copy_records_to_table(
        "rerate_lines",
        schema_name="rating",
        columns=("rerate", "number", "tenant", "charge", "before", "after"),
        records=[
            (rerate.id, line.number, line.tenant, line.charge, line.before, line.after)
            for line in lines
        ],
    )


async def get(connection: Any, id: str, *, lock: bool = False) -> Rerate | None:
    """With `lock`, nobody else decides about it until the transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM rating.rerates WHERE id = $1 {'FOR UPDATE' if lock else ''}", id
    )
    return None if row is None else msgspec.convert(dict(row), Rerate)


async def page(connection: Any, before: str | None, limit: int) -> list[Rerate]:
    """Up to `limit` re-ratings, the newest first, from behind `before`; ids grow with time."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.rerates
        WHERE $1::text IS NULL OR id < $1
        ORDER BY id DESC
        LIMIT $2
        """,
        before,
        limit,
    )
    return [msgspec.convert(dict(row), Rerate) for row in rows]


async def lines(connection: Any, id: str, tenant: str | None, after: int, limit: int) -> list[Line]:
    """Up to `limit` lines with numbers after `after`, of one tenant or all."""
    rows = await connection.fetch(
        """
        SELECT number, tenant, charge, before, after
        FROM rating.rerate_lines
        WHERE rerate = $1
          AND ($2::text IS NULL OR tenant = $2)
          AND number > $3
        ORDER BY number
        LIMIT $4
        """,
        id,
        tenant,
        after,
        limit,
    )
    return [msgspec.convert(dict(row), Line) for row in rows]


async def decide(tx: Any, id: str, state: State, at: datetime, by: str) -> None:
    """Applied or discarded, for good."""
    await tx.execute(
        """
        UPDATE rating.rerates
        SET state = $2, decided_at = $3, decided_by = $4
        WHERE id = $1
        """,
        id,
        state,
        at,
        by,
    )
