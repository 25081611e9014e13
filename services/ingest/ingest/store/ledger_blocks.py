"""Blocks of the packed ledger, and the groups that order them.

The row of a group is the lock of everything in it: who holds it sees all blocks below its number,
and may add the next. A lock ends with its transaction, so a rollback leaves neither.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ingest.packed.blocks import Packed

GROUPS: Final = 16
"""Rows of ingest.ledger_groups: sources go by their shard modulo this. A constant for ever."""
_LOAD_BLOCKS: Final = 256
_FORGET_BLOCKS: Final = 100


class Group(NamedTuple):
    """A locked group. `number`, `token`: of its newest blocks. `is_mine`: this transaction
    wrote them."""

    grp: int
    number: int
    token: int
    is_mine: bool


class Address(NamedTuple):
    """Names a block for ever: also after a restored backup, when numbers come again."""

    grp: int
    number: int
    part: int
    token: int


class Later(NamedTuple):
    """A block written since somebody looked last. `hashes` is None where they were not wanted."""

    address: Address
    day: int
    is_sorted: bool
    hashes: bytes | None


class Written(NamedTuple):
    """A block to store. `sorted_through`: see the table."""

    address: Address
    day: int
    packed: Packed
    sorted_through: int | None = None


async def lock(tx: Any, groups: Sequence[int]) -> list[Group]:
    """Lock `groups`, in ascending order so that nobody waits in a circle, until the end of `tx`.

    A transaction that waited sees what the one before it committed: also one whose snapshot is
    older (repeatable read), which fails instead.
    """
    rows = await tx.fetch(
        """
        SELECT grp, number, token, coalesce(writer = pg_current_xact_id(), false) AS is_mine
        FROM ingest.ledger_groups
        WHERE grp = ANY ($1)
        ORDER BY grp
        FOR UPDATE
        """,
        groups,
    )
    if len(rows) != len(groups):
        raise RuntimeError(f"ingest.ledger_groups lacks some of the groups {list(groups)}")
    return [Group(*row) for row in rows]


async def later(
    tx: Any, grp: int, *, since: int, number: int, days: Sequence[int], known: Sequence[int]
) -> list[Later]:
    """Blocks of `grp` from number `since` to `number`, in order. Hashes come with those of steps
    in `days` above `since` whose tokens are not `known`."""
    rows = await tx.fetch(
        """
        SELECT grp, number, part, token, day, sorted_through IS NOT NULL AS is_sorted,
               CASE
                   WHEN number > $2
                       AND sorted_through IS NULL
                       AND day = ANY ($4)
                       AND token <> ALL ($5)
                   THEN hashes
               END AS hashes
        FROM ingest.ledger_blocks
        WHERE grp = $1
          AND number BETWEEN $2 AND $3
        ORDER BY number, part
        """,
        grp,
        since,
        number,
        days,
        known,
    )
    return [Later(Address(*row[:4]), row[4], row[5], row[6]) for row in rows]


async def of_day(
    tx: Any, grp: int, day: int, *, above: int, through: int
) -> list[tuple[Address, bytes]]:
    """Some blocks of a day with their hashes, by number: above `above`, none above `through`.

    All blocks of a number come together. Empty at the end.
    """
    rows = await tx.fetch(
        """
        SELECT grp, number, part, token, hashes
        FROM ingest.ledger_blocks
        WHERE day = $2
          AND grp = $1
          AND number > $3
          AND number <= least($4, (
              SELECT number
              FROM ingest.ledger_blocks
              WHERE day = $2
                AND grp = $1
                AND number > $3
              ORDER BY number
              OFFSET $5
              LIMIT 1
          ))
        ORDER BY number, part
        """,
        grp,
        day,
        above,
        through,
        _LOAD_BLOCKS - 1,
    )
    return [(Address(*row[:4]), row[4]) for row in rows]


async def fetch(
    tx: Any, addresses: Sequence[Address]
) -> list[tuple[Address, tuple[bytes, bytes, bytes]]]:
    """(hashes, origins, digests) of those blocks that still exist."""
    rows = await tx.fetch(
        """
        SELECT b.grp, b.number, b.part, b.token, b.hashes, b.origins, b.digests
        FROM unnest($1::smallint[], $2::bigint[], $3::integer[], $4::bigint[])
            AS wanted (grp, number, part, token)
        JOIN ingest.ledger_blocks b USING (grp, number, part, token)
        """,
        *(list(column) for column in zip(*addresses, strict=True)),
    )
    return [(Address(*row[:4]), tuple(row[4:7])) for row in rows]


async def own(tx: Any, group: Group) -> list[tuple[int, int, tuple[bytes, bytes, bytes]]]:
    """(day, part, bytes) of the blocks that this transaction wrote in `group`."""
    rows = await tx.fetch(
        """
        SELECT day, part, hashes, origins, digests
        FROM ingest.ledger_blocks
        WHERE grp = $1
          AND number = $2
        """,
        group.grp,
        group.number,
    )
    return [(row[0], row[1], tuple(row[2:5])) for row in rows]


async def write(tx: Any, blocks: Sequence[Written]) -> None:
    """Store blocks under their locked groups, whose newest numbers and tokens they bring."""
    await tx.execute(
        """
        WITH moved AS (
            UPDATE ingest.ledger_groups g
            SET number = b.number,
                token = b.token,
                writer = pg_current_xact_id()
            FROM (
                SELECT DISTINCT grp, number, token
                FROM unnest($1::smallint[], $2::bigint[], $4::bigint[]) AS b (grp, number, token)
            ) AS b
            WHERE g.grp = b.grp
        )
        INSERT INTO ingest.ledger_blocks
            (grp, number, part, token, day, sorted_through,
             ids, first_hash, last_hash, hashes, origins, digests)
        SELECT *
        FROM unnest(
            $1::smallint[], $2::bigint[], $3::integer[], $4::bigint[], $5::integer[], $6::bigint[],
            $7::integer[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[]
        )
        """,
        *(list(column) for column in zip(*(b.address for b in blocks), strict=True)),
        [block.day for block in blocks],
        [block.sorted_through for block in blocks],
        *(list(column) for column in zip(*(b.packed for b in blocks), strict=True)),
    )


async def forget_before(tx: Any, day: int) -> int:
    """Delete some blocks of days before `day`; returns how many identities they held."""
    await tx.execute("DELETE FROM ingest.ledger_sorted WHERE day < $1", day)
    ids: int = await tx.fetchval(
        """
        WITH gone AS (
            DELETE FROM ingest.ledger_blocks
            WHERE (grp, number, part) IN (
                SELECT grp, number, part
                FROM ingest.ledger_blocks
                WHERE day < $1
                LIMIT $2
            )
            RETURNING ids
        )
        SELECT coalesce(sum(ids), 0)::bigint
        FROM gone
        """,
        day,
        _FORGET_BLOCKS,
    )
    return ids


async def origins(
    connection: Any, grp: int, identity: bytes, first_day: int, last_day: int
) -> list[tuple[int, bytes]]:
    """(day, origin) of the first copies of an identity whose source is in `grp`."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (day)
            day,
            substring(origins FROM (at - 1) / 16 * 12 + 1 FOR 12) AS origin
        FROM ingest.ledger_blocks
        CROSS JOIN LATERAL (SELECT position($2 IN hashes) AS at) AS found
        WHERE day BETWEEN $3 AND $4
          AND grp = $1
          AND first_hash <= $2
          AND last_hash >= $2
          AND at % 16 = 1
        ORDER BY day DESC
        """,
        grp,
        identity,
        first_day,
        last_day,
    )
    return [(row["day"], row["origin"]) for row in rows]
