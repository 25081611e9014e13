"""The nodes' sequences and seals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from common.contracts.received import DIGEST_BYTES
from ingest.sequence import NodeSequence

NodeKey = tuple[str, str]
"""Node and epoch."""


class Run(msgspec.Struct, frozen=True):
    """Sequence numbers taken for the first time, with the digests of their elements in a row."""

    node: str
    epoch: str
    first_seq: int
    digests: bytes
    offset: int
    received_day: int

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.digests) // DIGEST_BYTES - 1


class Seen(msgspec.Struct, frozen=True):
    """What a step learned about a node: its sequence, and its seal if it brought one.
    Unix milliseconds."""

    sequence: NodeSequence
    last_seen_ms: int
    sealed_through_ms: int | None = None
    sealed_received_ms: int | None = None


async def load_sequences(tx: Any, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeSequence]:
    """The sequences of those `keys` that are known."""
    wanted = list(keys)
    rows = await tx.fetch(
        """
        SELECT p.node, p.epoch, p.next_seq, p.gaps
        FROM unnest($1::text[], $2::text[]) AS wanted (node, epoch)
        JOIN ingest.node_progress p USING (node, epoch)
        """,
        [node for node, _ in wanted],
        [epoch for _, epoch in wanted],
    )
    return {
        (row["node"], row["epoch"]): NodeSequence(
            row["next_seq"], tuple((first, last) for first, last in row["gaps"])
        )
        for row in rows
    }


async def load_digests(tx: Any, key: NodeKey, first_seq: int, last_seq: int) -> dict[int, bytes]:
    """Digests of the sequence numbers from `first_seq` to `last_seq` that are remembered."""
    node, epoch = key
    # Runs do not overlap, so at most one that begins earlier reaches into the range.
    rows = await tx.fetch(
        """
        SELECT first_seq, digests
        FROM ingest.node_batches
        WHERE node = $1
          AND epoch = $2
          AND first_seq <= $4
          AND first_seq >= coalesce(
              (
                  SELECT max(first_seq)
                  FROM ingest.node_batches
                  WHERE node = $1 AND epoch = $2 AND first_seq <= $3
              ),
              $3
          )
        """,
        node,
        epoch,
        first_seq,
        last_seq,
    )
    return {
        seq: digest
        for row in rows
        for seq, digest in enumerate(split_digests(row["digests"]), row["first_seq"])
        if first_seq <= seq <= last_seq
    }


def split_digests(digests: bytes) -> list[bytes]:
    """The digests in a row of them."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


async def save(tx: Any, seen: Mapping[NodeKey, Seen]) -> None:
    """Store where the nodes stand. A seal never goes back."""
    await tx.executemany(
        """
        INSERT INTO ingest.node_progress AS p
            (node, epoch, next_seq, gaps, sealed_through_ms, sealed_received_ms, last_seen_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (node, epoch) DO UPDATE
        SET next_seq = excluded.next_seq,
            gaps = excluded.gaps,
            sealed_received_ms = CASE
                WHEN excluded.sealed_through_ms > coalesce(p.sealed_through_ms, -1)
                THEN excluded.sealed_received_ms
                ELSE p.sealed_received_ms
            END,
            sealed_through_ms = greatest(p.sealed_through_ms, excluded.sealed_through_ms),
            last_seen_ms = greatest(p.last_seen_ms, excluded.last_seen_ms)
        """,
        [
            (
                node,
                epoch,
                what.sequence.next_seq,
                [list(gap) for gap in what.sequence.gaps],
                what.sealed_through_ms,
                what.sealed_received_ms,
                what.last_seen_ms,
            )
            for (node, epoch), what in sorted(seen.items())
        ],
    )


async def save_runs(tx: Any, partition: int, runs: Sequence[Run]) -> None:
    """Remember runs taken from input `partition`."""
    await tx.copy_records_to_table(
        "node_batches",
        schema_name="ingest",
        columns=(
            "node",
            "epoch",
            "first_seq",
            "last_seq",
            "digests",
            "origin_partition",
            "origin_offset",
            "received_day",
        ),
        records=[
            (
                r.node,
                r.epoch,
                r.first_seq,
                r.last_seq,
                r.digests,
                partition,
                r.offset,
                r.received_day,
            )
            for r in runs
        ],
    )


async def taken_from(
    connection: Any, partition: int, first_offset: int, end_offset: int
) -> dict[int, list[tuple[int, int]]]:
    """(first, last) sequence numbers that the envelopes in the range were the first to bring."""
    rows = await connection.fetch(
        """
        SELECT origin_offset, first_seq, last_seq
        FROM ingest.node_batches
        WHERE origin_partition = $1
          AND origin_offset >= $2
          AND origin_offset < $3
        """,
        partition,
        first_offset,
        end_offset,
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["origin_offset"], []).append((row["first_seq"], row["last_seq"]))
    return found


async def find_run(
    connection: Any, nodes: Sequence[str], epoch: str, seq: int
) -> tuple[str, int, int] | None:
    """(node, partition, offset) of the envelope that brought `seq` of one of `nodes`."""
    row = await connection.fetchrow(
        """
        SELECT n.node, r.origin_partition, r.origin_offset
        FROM unnest($1::text[]) AS n (node)
        CROSS JOIN LATERAL (
            SELECT origin_partition, origin_offset, last_seq
            FROM ingest.node_batches b
            WHERE b.node = n.node
              AND b.epoch = $2
              AND b.first_seq <= $3
            ORDER BY b.first_seq DESC
            LIMIT 1
        ) r
        WHERE r.last_seq >= $3
        LIMIT 1
        """,
        list(nodes),
        epoch,
        seq,
    )
    return (row["node"], row["origin_partition"], row["origin_offset"]) if row else None


async def forget_before(connection: Any, day: int) -> int:
    """Forget runs received before `day`; their numbers stay taken."""
    status = await connection.execute(
        """
        DELETE FROM ingest.node_batches
        WHERE (node, epoch, first_seq) IN (
            SELECT node, epoch, first_seq
            FROM ingest.node_batches
            WHERE received_day < $1
            LIMIT 5000
        )
        """,
        day,
    )
    return int(status.rsplit(" ", 1)[-1])


async def list_nodes(connection: Any, after: str | None, limit: int) -> list[Any]:
    """Nodes by name, each with its newest epoch, and the gaps of all its epochs."""
    rows: list[Any] = await connection.fetch(
        """
        SELECT DISTINCT ON (node)
            node, epoch, next_seq, sealed_through_ms, sealed_received_ms, last_seen_ms,
            (
                SELECT jsonb_agg(jsonb_build_array(g.epoch, g.gaps) ORDER BY g.epoch)
                FROM ingest.node_progress g
                WHERE g.node = p.node AND g.gaps <> '[]'
            ) AS gaps
        FROM ingest.node_progress p
        WHERE $1::text IS NULL OR node > $1
        ORDER BY node, last_seen_ms DESC, epoch DESC
        LIMIT $2
        """,
        after,
        limit,
    )
    return rows


async def count_gaps(connection: Any) -> int:
    """How many gaps are open, over all nodes."""
    gaps: int = await connection.fetchval(
        "SELECT coalesce(sum(jsonb_array_length(gaps)), 0) FROM ingest.node_progress"
    )
    return int(gaps)
