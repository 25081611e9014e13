"""The ledger as a plain table: one row an identity and day."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ingest.ledger import Claim, Verdict

_COLUMNS = ("n", "day", "identity", "digest", "origin_offset", "origin_index")
_SHARD_LOCKS = 7_035
"""Class of the advisory locks, one a shard of sources."""
_Numbered = tuple[int, Claim]


class PlainLedger:
    """`Ledger` in the table `ingest.ledger`. Two owners that claim one identity at a time take
    turns on its row: the later one sees the earlier one's copy. One that claims stamped events
    takes turns with all others that claim of the same shard of sources: a copy may be under way to
    a day beside, where there is no row yet to wait for."""

    async def admit(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        verdicts = [Verdict.FRESH] * len(claims)
        await _lock_shards(tx, claims)
        numbered = list(enumerate(claims))
        timed = [item for item in numbered if not item[1].stamped]
        await self._admit(tx, partition, timed, verdicts)
        stamped = sorted((item for item in numbered if item[1].stamped), key=_day)
        # Day by day, so that a stamped copy finds one that was stamped the day before.
        for _, of_day in groupby(stamped, key=_day):
            items = list(of_day)
            neighbours = await self._on_neighbouring_days(tx, partition, items, verdicts)
            await self._admit(
                tx, partition, [item for item in items if item[0] not in neighbours], verdicts
            )
        return verdicts

    async def decided(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[bool]:
        if not claims:
            return []
        await _load(tx, list(enumerate(claims)))
        rows = await tx.fetch(
            """
            SELECT c.n
            FROM pg_temp.claims c
            JOIN ingest.ledger l USING (day, identity, origin_offset, origin_index)
            WHERE l.origin_partition = $1
            """,
            partition,
        )
        fresh = {row["n"] for row in rows}
        return [n in fresh for n in range(len(claims))]

    async def forget_before(self, tx: Any, day: int) -> int:
        status = await tx.execute(
            """
            DELETE FROM ingest.ledger
            WHERE (day, identity) IN (
                SELECT day, identity
                FROM ingest.ledger
                WHERE day < $1
                LIMIT 20000
            )
            """,
            day,
        )
        return int(status.rsplit(" ", 1)[-1])

    async def _admit(
        self, tx: Any, partition: int, items: list[_Numbered], verdicts: list[Verdict]
    ) -> None:
        """Insert, then look at whose origin each row holds. Sets `verdicts` of `items`."""
        if not items:
            return
        await _load(tx, items)
        # In key order, so that two owners never wait for each other in a circle.
        status = await tx.execute(
            """
            INSERT INTO ingest.ledger
                (day, identity, digest, origin_partition, origin_offset, origin_index)
            SELECT DISTINCT ON (day, identity)
                day, identity, digest, $1, origin_offset, origin_index
            FROM pg_temp.claims
            ORDER BY day, identity, origin_offset, origin_index
            ON CONFLICT DO NOTHING
            """,
            partition,
        )
        if status == f"INSERT 0 {len(items)}":
            return
        rows = await tx.fetch(
            """
            SELECT c.n, c.digest = l.digest AS same
            FROM pg_temp.claims c
            JOIN ingest.ledger l USING (day, identity)
            WHERE (l.origin_partition, l.origin_offset, l.origin_index)
                <> ($1, c.origin_offset, c.origin_index)
            """,
            partition,
        )
        for row in rows:
            verdicts[row["n"]] = Verdict.DUPLICATE if row["same"] else Verdict.CONFLICT

    async def _on_neighbouring_days(
        self, tx: Any, partition: int, items: list[_Numbered], verdicts: list[Verdict]
    ) -> set[int]:
        """The stamped `items` whose first copy lies a day before or after. Sets `verdicts`.

        An item that was admitted on its own day stays what it is.
        """
        await _load(tx, items)
        rows = await tx.fetch(
            """
            SELECT c.n, bool_and(c.digest = l.digest) AS same
            FROM pg_temp.claims c
            CROSS JOIN LATERAL (VALUES (c.day - 1), (c.day + 1)) AS near (day)
            JOIN ingest.ledger l ON l.day = near.day AND l.identity = c.identity
            WHERE NOT EXISTS (
                SELECT FROM ingest.ledger own
                WHERE own.day = c.day
                  AND own.identity = c.identity
                  AND (own.origin_partition, own.origin_offset, own.origin_index)
                      = ($1, c.origin_offset, c.origin_index)
            )
            GROUP BY c.n
            """,
            partition,
        )
        for row in rows:
            verdicts[row["n"]] = Verdict.DUPLICATE if row["same"] else Verdict.CONFLICT
        return {row["n"] for row in rows}


async def days(connection: Any) -> range:
    """Days between the oldest and the newest row of the plain table; empty if it is."""
    row = await connection.fetchrow("SELECT min(day) AS first, max(day) AS last FROM ingest.ledger")
    return range(row["first"], row["last"] + 1) if row["first"] is not None else range(0)


async def holds(
    connection: Any, day: int, identities: Sequence[bytes]
) -> list[tuple[int, int, int, int, bytes]]:
    """(index in `identities`, partition, offset, number, digest) of those that have a row."""
    rows = await connection.fetch(
        """
        SELECT wanted.n - 1, origin_partition, origin_offset, origin_index, digest
        FROM unnest($2::bytea[]) WITH ORDINALITY AS wanted (identity, n)
        JOIN ingest.ledger l ON l.day = $1 AND l.identity = wanted.identity
        """,
        day,
        identities,
    )
    return [tuple(row) for row in rows]


async def origins(
    connection: Any, identity: bytes, first_day: int, last_day: int
) -> list[tuple[int, int, int, int]]:
    """(day, partition, offset, index) of the first copies of an identity."""
    rows = await connection.fetch(
        """
        SELECT day, origin_partition, origin_offset, origin_index
        FROM ingest.ledger
        WHERE identity = $1
          AND day = ANY ($2)
        """,
        identity,
        list(range(first_day, last_day + 1)),
    )
    return [tuple(row) for row in rows]


async def _lock_shards(tx: Any, claims: Sequence[Claim]) -> None:
    """Hold the shards of the claims' sources until the transaction ends, alone where a stamped one
    is claimed. In ascending order, so that nobody waits in a circle."""
    alone = {claim.shard for claim in claims if claim.stamped}
    shards = sorted({claim.shard for claim in claims})
    if shards:
        await tx.execute(
            """
            SELECT CASE
                WHEN alone THEN pg_advisory_xact_lock($1, shard)::text
                ELSE pg_advisory_xact_lock_shared($1, shard)::text
            END
            FROM unnest($2::integer[], $3::boolean[]) AS wanted (shard, alone)
            """,
            _SHARD_LOCKS,
            shards,
            [shard in alone for shard in shards],
        )


async def _load(tx: Any, items: Sequence[_Numbered]) -> None:
    """Put claims, with their numbers, into the temporary table `claims`."""
    await tx.execute(
        """
        CREATE TEMPORARY TABLE IF NOT EXISTS claims (
            n              integer,
            day            integer,
            identity       bytea,
            digest         bytea,
            origin_offset  bigint,
            origin_index   integer
        ) ON COMMIT DELETE ROWS;
        DELETE FROM pg_temp.claims;
        """
    )
    await tx.copy_records_to_table(
        "claims",
        schema_name="pg_temp",
        columns=_COLUMNS,
        records=[(n, c.day, c.identity, c.digest, c.offset, c.number) for n, c in items],
    )


def _day(item: _Numbered) -> int:
    return item[1].day
