"""PostgreSQL alone: COPY and upsert of rows like the product's, and commits of one row."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import asyncpg

from bench.contract import About, Measurement, Repetition
from bench.site import Meter, Site

BATCH_ROWS = 10_000
LIVE_ROWS = 20_000

TABLES = """
CREATE SCHEMA bench;
CREATE TABLE bench.copied (
    day integer, identity bytea, digest bytea, origin_offset bigint, origin_index integer
);
CREATE TABLE bench.upserted (
    series bigint, bucket timestamptz, shard integer, count bigint, sum numeric, version bigint,
    PRIMARY KEY (series, bucket, shard)
) WITH (fillfactor = 70);
CREATE TABLE bench.committed (id integer PRIMARY KEY, position bigint) WITH (fillfactor = 50);
INSERT INTO bench.committed VALUES (1, 0);
CREATE TEMPORARY TABLE staged (
    series bigint, bucket timestamptz, count bigint, sum numeric
) ON COMMIT DELETE ROWS;
"""

UPSERT = """
INSERT INTO bench.upserted AS known (series, bucket, shard, count, sum, version)
SELECT series, bucket, 0, count, sum, 1
FROM staged
ORDER BY series
ON CONFLICT (series, bucket, shard) DO UPDATE
SET count = known.count + excluded.count,
    sum = known.sum + excluded.sum,
    version = known.version + 1
"""


class PostgresCeiling:
    """One connection, synchronous_commit on, as a stage has it."""

    abouts = (
        About(
            name="postgres.copy",
            family="ceilings",
            unit="row",
            what="binary COPY of rows like the plain ledger's, no index, a commit each 10,000",
        ),
        About(
            name="postgres.upsert",
            family="ceilings",
            unit="row",
            what="COPY into a temporary table and one upsert onto 20,000 live rows like rollups",
        ),
        About(
            name="postgres.commit",
            family="ceilings",
            unit="commit",
            what="an update of one row and its commit, one connection",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("postgres", ["ingest"]) as ground:
            dsn = ground.around.owner_dsn("ingest")
            connection = await asyncpg.connect(dsn)
            try:
                await connection.execute(TABLES)
                rows = _ledger_rows(site.scale.ceiling_rows, site.next_seed())

                async def measure(_: int) -> Mapping[str, Measurement]:
                    return {
                        "postgres.copy": await _copy(site, connection, rows),
                        "postgres.upsert": await _upsert(site, connection),
                        "postgres.commit": await _commit(site, connection),
                    }

                yield measure
            finally:
                await connection.close()


def _ledger_rows(count: int, seed: int) -> list[tuple[Any, ...]]:
    pick = Random(seed)
    return [
        (20_000, pick.randbytes(16), pick.randbytes(8), n // 500, n % 500) for n in range(count)
    ]


async def _copy(
    site: Site, connection: asyncpg.Connection, rows: list[tuple[Any, ...]]
) -> Measurement:
    await connection.execute("TRUNCATE bench.copied")
    meter = Meter(site)
    for start in range(0, len(rows), BATCH_ROWS):
        await connection.copy_records_to_table(
            "copied", schema_name="bench", records=rows[start : start + BATCH_ROWS]
        )
    return Measurement(units=len(rows), seconds=meter.seconds(), cpu_seconds=meter.cpu_seconds())


async def _upsert(site: Site, connection: asyncpg.Connection) -> Measurement:
    bucket = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [(series, bucket, 3, Decimal(123_456)) for series in range(LIVE_ROWS)]
    rounds = max(1, site.scale.ceiling_rows // LIVE_ROWS // 2)
    meter = Meter(site)
    for _ in range(rounds):
        async with connection.transaction():
            await connection.copy_records_to_table("staged", records=rows)
            await connection.execute(UPSERT)
    return Measurement(
        units=rounds * LIVE_ROWS, seconds=meter.seconds(), cpu_seconds=meter.cpu_seconds()
    )


async def _commit(site: Site, connection: asyncpg.Connection) -> Measurement:
    statement = await connection.prepare(
        "UPDATE bench.committed SET position = position + 1 WHERE id = 1"
    )
    latencies = []
    meter = Meter(site)
    for _ in range(site.scale.commits):
        began = time.perf_counter()
        await statement.fetch()
        latencies.append((time.perf_counter() - began) * 1000)
    return Measurement(
        units=site.scale.commits,
        seconds=meter.seconds(),
        cpu_seconds=meter.cpu_seconds(),
        latencies_ms={"commit": latencies},
    )
