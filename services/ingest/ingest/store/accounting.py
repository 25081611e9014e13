"""What became of the elements, and how far each partition has got."""

from typing import Any

import msgspec

from common.contracts.topics import RECEIVED
from ingest.dedupe import Tally


class PartitionAccount(msgspec.Struct, frozen=True):
    """Elements of the records below `next_offset`, by what became of them."""

    partition: int
    next_offset: int
    tally: Tally


async def add(tx: Any, partition: int, tally: Tally) -> None:
    """Add a step's tally. The table itself refuses one that does not add up."""
    await tx.execute(
        """
        INSERT INTO ingest.accounting AS a (partition, received, counted, duplicates, parked)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (partition) DO UPDATE
        SET received = a.received + excluded.received,
            counted = a.counted + excluded.counted,
            duplicates = a.duplicates + excluded.duplicates,
            parked = a.parked + excluded.parked
        """,
        partition,
        tally.received,
        tally.counted,
        tally.duplicates,
        tally.parked,
    )


async def accounts(connection: Any) -> list[PartitionAccount]:
    """All partitions that were ever claimed, in one snapshot."""
    rows = await connection.fetch(
        """
        SELECT p.partition, p.next_offset, a.received, a.counted, a.duplicates, a.parked
        FROM ingest.partition_progress p
        LEFT JOIN ingest.accounting a USING (partition)
        WHERE p.topic = $1
        ORDER BY p.partition
        """,
        RECEIVED.name,
    )
    return [
        PartitionAccount(
            row["partition"],
            row["next_offset"],
            Tally(
                row["received"] or 0,
                row["counted"] or 0,
                row["duplicates"] or 0,
                row["parked"] or 0,
            ),
        )
        for row in rows
    ]
