"""What compaction of the packed ledger reads and replaces."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ingest.packed.blocks import Block, unpack

COMPACTION_LOCK: Final = 0x1ED6E5
"""Advisory lock of a session: one compacts at a time."""
_DELETE_BLOCKS: Final = 100


class Source(NamedTuple):
    """A block that is to be replaced."""

    number: int
    part: int
    ids: int


async def try_lock(connection: Any) -> bool:
    """Become the one that compacts, until `unlock` or the end of the session."""
    locked: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", COMPACTION_LOCK)
    return locked


async def unlock(connection: Any) -> None:
    """Let another one compact."""
    await connection.execute("SELECT pg_advisory_unlock($1)", COMPACTION_LOCK)


async def crumbled(connection: Any, blocks_min: int) -> list[tuple[int, int]]:
    """(group, day)s with at least `blocks_min` small blocks."""
    rows = await connection.fetch(
        """
        SELECT grp, day
        FROM ingest.ledger_blocks
        WHERE sorted_through IS NULL
          AND ids < 1024
        GROUP BY grp, day
        HAVING count(*) >= $1
        ORDER BY grp, day
        """,
        blocks_min,
    )
    return [tuple(row) for row in rows]


async def unsorted(connection: Any, before_day: int, late_blocks: int) -> list[tuple[int, int]]:
    """(group, day)s before `before_day` that are not sorted, or have at least `late_blocks`
    blocks written since, or blocks that sorting left behind; oldest first."""
    rows = await connection.fetch(
        """
        SELECT b.grp, b.day
        FROM ingest.ledger_blocks b
        LEFT JOIN ingest.ledger_sorted s USING (grp, day)
        WHERE b.day < $1
        GROUP BY b.grp, b.day, s.through
        HAVING count(*) FILTER (WHERE b.sorted_through IS NULL)
                >= CASE WHEN s.through IS NULL THEN 2 ELSE $2 END
            OR bool_or(b.sorted_through IS DISTINCT FROM s.through AND b.number <= s.through)
            OR bool_or(b.sorted_through IS NOT NULL AND b.sorted_through IS DISTINCT FROM s.through)
        ORDER BY b.day, b.grp
        """,
        before_day,
        late_blocks,
    )
    return [tuple(row) for row in rows]


async def small(tx: Any, grp: int, day: int, *, blocks_max: int) -> list[tuple[Source, Block]]:
    """The oldest small blocks of a day, whole."""
    rows = await tx.fetch(
        """
        SELECT number, part, ids, hashes, origins, digests
        FROM ingest.ledger_blocks
        WHERE grp = $1
          AND day = $2
          AND sorted_through IS NULL
          AND ids < 1024
        ORDER BY number, part
        LIMIT $3
        """,
        grp,
        day,
        blocks_max,
    )
    return [(Source(*row[:3]), unpack(*row[3:6])) for row in rows]


async def sources(connection: Any, grp: int, day: int) -> list[Source]:
    """All blocks of a day, by number. Those below the highest number are all there are: numbers
    become visible in order."""
    rows = await connection.fetch(
        """
        SELECT number, part, ids
        FROM ingest.ledger_blocks
        WHERE grp = $1
          AND day = $2
        ORDER BY number, part
        """,
        grp,
        day,
    )
    return [Source(*row) for row in rows]


async def hashes(connection: Any, grp: int, some: Sequence[Source]) -> list[bytes]:
    """The hashes of `some` blocks, in their order. Those that have gone are left out."""
    rows = await connection.fetch(
        """
        SELECT b.hashes
        FROM unnest($2::bigint[], $3::integer[]) WITH ORDINALITY AS wanted (number, part, n)
        JOIN ingest.ledger_blocks b USING (number, part)
        WHERE b.grp = $1
        ORDER BY n
        """,
        grp,
        [source.number for source in some],
        [source.part for source in some],
    )
    return [row["hashes"] for row in rows]


async def slices(connection: Any, grp: int, some: Sequence[tuple[Source, int, int]]) -> list[Block]:
    """Rows from an index to another of each block, in order. Blocks that have gone are left out."""
    rows = await connection.fetch(
        """
        SELECT substring(b.hashes FROM at * 16 + 1 FOR rows * 16),
               substring(b.origins FROM at * 12 + 1 FOR rows * 12),
               substring(b.digests FROM at * 8 + 1 FOR rows * 8)
        FROM unnest($2::bigint[], $3::integer[], $4::integer[], $5::integer[])
            WITH ORDINALITY AS wanted (number, part, at, rows, n)
        JOIN ingest.ledger_blocks b USING (number, part)
        WHERE b.grp = $1
        ORDER BY n
        """,
        grp,
        [source.number for source, _, _ in some],
        [source.part for source, _, _ in some],
        [first for _, first, _ in some],
        [end - first for _, first, end in some],
    )
    return [unpack(*row) for row in rows]


async def mark_sorted(tx: Any, grp: int, day: int, through: int) -> None:
    """The sorted blocks of the day up to the number `through` are complete."""
    await tx.execute(
        """
        INSERT INTO ingest.ledger_sorted (grp, day, through)
        VALUES ($1, $2, $3)
        ON CONFLICT (grp, day) DO UPDATE SET through = excluded.through
        """,
        grp,
        day,
        through,
    )


async def delete(tx: Any, grp: int, some: Sequence[Source]) -> None:
    """Delete blocks whose identities are in others."""
    await tx.execute(
        """
        DELETE FROM ingest.ledger_blocks
        WHERE grp = $1
          AND (number, part) IN (SELECT * FROM unnest($2::bigint[], $3::integer[]))
        """,
        grp,
        [source.number for source in some],
        [source.part for source in some],
    )


async def sweep(tx: Any, grp: int, day: int) -> int:
    """Delete some blocks of a day that its complete sorted ones replace, or that belong to
    sorted ones which were never completed; returns how many."""
    status: str = await tx.execute(
        """
        DELETE FROM ingest.ledger_blocks
        WHERE (grp, number, part) IN (
            SELECT b.grp, b.number, b.part
            FROM ingest.ledger_blocks b
            LEFT JOIN ingest.ledger_sorted s USING (grp, day)
            WHERE b.grp = $1
              AND b.day = $2
              AND b.sorted_through IS DISTINCT FROM s.through
              AND (b.number <= s.through OR b.sorted_through IS NOT NULL)
            LIMIT $3
        )
        """,
        grp,
        day,
        _DELETE_BLOCKS,
    )
    return int(status.rsplit(" ", 1)[-1])
