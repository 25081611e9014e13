"""The watermark of a whole stage, and when to say it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from common.bus.types import Record
from common.contracts.control import watermark_record
from common.contracts.topics import Topic
from common.stream.processor import Partition


async def stage_watermark(
    connection: Any, schema: str, topic: Topic, partitions: int
) -> datetime | None:
    """Everything received before this has passed the stage; None while a partition is unknown.

    `connection`: an asyncpg connection or pool. `partitions`: how many the topic has.
    """
    row = await connection.fetchrow(
        f"""
        SELECT count(watermark_ms) AS known, min(watermark_ms) AS least
        FROM {schema}.partition_progress
        WHERE topic = $1
        """,
        topic.name,
    )
    if row["known"] < partitions:
        return None
    return datetime.fromtimestamp(row["least"] / 1000, UTC)


class WatermarkTeller:
    """Says a partition's watermark downstream: after its data, when it grew, not too often.

    Keep one in a partition's state. `records` returns the control records to append after the
    data of the step, by output partition.
    """

    def __init__(self, every_seconds: float = 0.2) -> None:
        self._every_seconds = every_seconds
        self._told_ms = -1
        self._told_at = float("-inf")

    def records(self, part: Partition, *, inputs: int, outputs: int) -> dict[int, list[Record]]:
        """Control records for each of `outputs` partitions; empty when there is nothing to say.

        `inputs`: partitions of the stage's input topic.
        """
        watermark = part.watermark_ms
        now = asyncio.get_running_loop().time()
        if watermark is None or watermark <= self._told_ms:
            return {}
        if now - self._told_at < self._every_seconds:
            return {}
        self._told_ms, self._told_at = watermark, now
        record = watermark_record(part.number, inputs, watermark)
        return {partition: [record] for partition in range(outputs)}
