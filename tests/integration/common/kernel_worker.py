"""A worker process for the kernel's tests on real servers: the two stages of the simulation, with
PostgreSQL under them. `python -m tests.integration.common.kernel_worker KAFKA PREFIX DSN NAME`."""

import asyncio
import json
import logging
import signal
import sys
from typing import Any

from common.bus import Bus, Message, Record
from common.bus.kafka import KafkaBus
from common.contracts.topics import Topic, partition_for
from common.db import create_pool
from common.stream import Partition, PostgresProgress, Processor
from common.stream.position import origin_header
from common.stream.watermark import WatermarkTeller

RAW = Topic("raw", "none", compacted=False, retention_hours=1)
MID = Topic("mid", "none", compacted=False, retention_hours=1)
PARTITIONS = 4
LEASE_SECONDS = 2.0
TABLES = """
CREATE TABLE kernel.ledger (
    identity text PRIMARY KEY, origin_partition integer NOT NULL, origin_offset bigint NOT NULL
);
CREATE TABLE kernel.sums (
    tenant text, shard integer, amount bigint NOT NULL, events bigint NOT NULL,
    PRIMARY KEY (tenant, shard)
);
"""

Items = list[list[Any]]


class Relay:
    """Keeps the first copy of each id and sends it on."""

    topic = RAW
    root = True
    tick_seconds: float | None = None

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def recover(self, part: Partition) -> None:
        part.state = WatermarkTeller()
        if part.emitted_offset < part.next_offset:
            reader = await self._bus.reader(RAW.name, part.number, part.emitted_offset)
            messages: list[Message] = []
            try:
                while not messages or messages[-1].offset + 1 < part.next_offset:
                    messages += await reader.read(1_000, 1.0)
            finally:
                await reader.close()
            committed = [m for m in messages if m.offset < part.next_offset]
            await self._send(part, await fresh_items(part.connection, part.number, committed))
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
        rows = {
            item[0]: message.offset
            for message in reversed(messages)
            for item in json.loads(message.value or b"[]")
        }
        await tx.execute(
            """
            INSERT INTO kernel.ledger
            SELECT identity, $2, origin
            FROM unnest($1::text[], $3::bigint[]) AS new (identity, origin)
            ORDER BY identity
            ON CONFLICT DO NOTHING
            """,
            list(rows),
            part.number,
            list(rows.values()),
        )
        return await fresh_items(tx, part.number, messages)

    async def emit(self, part: Partition, effect: Any) -> None:
        await self._send(part, effect)
        part.emitted(part.next_offset)

    async def _send(self, part: Partition, fresh: list[tuple[int, Items]]) -> None:
        batches: dict[int, list[Record]] = {}
        for offset, items in fresh:
            by_partition: dict[int, Items] = {}
            for item in items:
                by_partition.setdefault(partition_for(item[1], PARTITIONS), []).append(item)
            for number, chosen in by_partition.items():
                record = Record(
                    None, json.dumps(chosen).encode(), (origin_header(part.number, offset),)
                )
                batches.setdefault(number, []).append(record)
        told = part.state.records(part, inputs=PARTITIONS, outputs=PARTITIONS)
        for number, records in told.items():
            batches.setdefault(number, []).extend(records)
        if batches:
            await self._bus.append(MID.name, batches)


async def fresh_items(
    connection: Any, partition: int, messages: list[Message]
) -> list[tuple[int, Items]]:
    """What of each envelope the ledger says was seen there first."""
    envelopes = [(m.offset, json.loads(m.value or b"[]")) for m in messages]
    rows = await connection.fetch(
        "SELECT identity, origin_offset FROM kernel.ledger"
        " WHERE identity = ANY($1::text[]) AND origin_partition = $2",
        [item[0] for _, items in envelopes for item in items],
        partition,
    )
    first = {row["identity"]: row["origin_offset"] for row in rows}
    found = []
    for offset, items in envelopes:
        chosen = {item[0]: item for item in items if first.get(item[0]) == offset}
        found.append((offset, list(chosen.values())))
    return found


class Sum:
    """Adds up what arrives."""

    topic = MID
    root = False
    tick_seconds: float | None = None

    async def recover(self, part: Partition) -> None:
        """Nothing is emitted."""

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> None:
        sums: dict[str, list[int]] = {}
        for message in messages:
            for _, tenant, amount in json.loads(message.value or b"[]"):
                known = sums.setdefault(tenant, [0, 0])
                known[0] += amount
                known[1] += 1
        for tenant, (amount, events) in sorted(sums.items()):
            await tx.execute(
                """
                INSERT INTO kernel.sums AS known (tenant, shard, amount, events)
                VALUES ($1, $2, $3, $4)
                ON CONFLICT (tenant, shard) DO UPDATE
                SET amount = known.amount + excluded.amount,
                    events = known.events + excluded.events
                """,
                tenant,
                part.number,
                amount,
                events,
            )

    async def emit(self, part: Partition, effect: Any) -> None:
        part.emitted(part.next_offset)


async def main(kafka: str, prefix: str, dsn: str, name: str) -> None:
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(message)s")
    bus = KafkaBus(kafka, prefix=prefix)
    pool = await create_pool(dsn, max_size=4)
    progress = PostgresProgress(pool, "kernel", dsn)
    processors = [
        Processor(
            bus=bus,
            progress=progress,
            stage=stage,
            worker=name,
            lease_seconds=LEASE_SECONDS,
            read_messages=50,
        )
        for stage in (Relay(bus), Sum())
    ]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for processor in processors:
            processor.stop()

    loop.add_signal_handler(signal.SIGTERM, stop)
    await asyncio.gather(*(processor.run() for processor in processors))
    await bus.stop()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
