"""How far each partition has come, from the kernel's table."""

from typing import Any

import asyncpg


async def progress(connection: Any, topic: str) -> list[asyncpg.Record]:
    """(partition, watermark, next_offset) of the partitions that were ever claimed."""
    rows: list[asyncpg.Record] = await connection.fetch(
        """
        SELECT partition, next_offset, to_timestamp(watermark_ms / 1000.0) AS watermark
        FROM aggregator.partition_progress
        WHERE topic = $1
        ORDER BY partition
        """,
        topic,
    )
    return rows
