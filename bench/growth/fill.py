"""Fills a ground with what months of use would leave: written in bulk, valid as if by a stage."""

import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import numpy as np

from aggregator.store import rollups
from bench.metering import HTTP_SECONDS
from bench.site import Ground
from common.usage_days import fold
from ingest.packed.blocks import Block, pack
from ingest.store import ledger_blocks
from ingest.store.ledger_blocks import GROUPS, Address, Written

BLOCK_IDS = 15_000
"""Of one step's fresh events in a group, under load."""
HOURS = 100
SHARDS = 4
SECONDS_A_DAY = 86_400
PAST = '{"region":"past"}'
"""The group of usage that is filled in."""


async def ledger(ground: Ground, ids: int, seed: int) -> None:
    """Adds identities of today to the packed ledger, block by block; no deduper may run."""
    pool = await ground.pool("ingest")
    random = np.random.default_rng(seed)
    day = int(time.time()) // SECONDS_A_DAY
    left = ids
    while left > 0:
        sizes = [min(BLOCK_IDS, max(1, left // GROUPS))] * GROUPS
        async with pool.acquire() as connection, connection.transaction():
            groups = await ledger_blocks.lock(connection, range(GROUPS))
            blocks = []
            for group, size in zip(groups, sizes, strict=True):
                token = secrets.randbits(62)
                address = Address(group.grp, group.number + 1, 0, token)
                blocks.append(Written(address, day, pack(_block(random, size, group.number))))
            await ledger_blocks.write(connection, blocks)
        left -= sum(sizes)


def _block(random: np.random.Generator, ids: int, offset: int) -> Block:
    """Random identities; two that are equal in 8 bytes are as good as impossible."""
    high = np.sort(random.integers(0, 2**64, ids, dtype=np.uint64))
    return Block(
        high=high,
        low=random.integers(0, 2**64, ids, dtype=np.uint64),
        offsets=np.full(ids, offset, np.int64),
        places=np.arange(ids, dtype=np.uint32),
        digests=random.integers(0, 2**64, ids, dtype=np.uint64),
    )


async def meters(ground: Ground, count: int) -> None:
    """Puts meters on event types of their own; the aggregator's API must run."""
    url = f"{ground.url('aggregator')}/v1/meters"
    async with httpx.AsyncClient(timeout=HTTP_SECONDS) as http:
        for number in range(count):
            body = {
                "event_type": f"other.{number // 5}",
                "aggregation": ("count", "sum", "max", "latest", "min")[number % 5],
                "unit": "unit",
                "group_by": {"region": "region"},
            }
            if number % 5:
                body["value"] = "amount"
            (await http.put(f"{url}/other-{number}", json=body)).raise_for_status()


async def usage_hours(ground: Ground, tenants: Sequence[str], rows: int) -> None:
    """Adds past hours of the meter `requests` for every tenant, to the rollups and to what rating
    keeps of them."""
    hours = min(HOURS, max(1, rows // len(tenants)))
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
    await _rollups(await ground.pool("aggregator"), tenants, begin, hours)
    await projection(await ground.pool("rating"), dict.fromkeys(tenants, 1), begin, hours)


async def _rollups(pool: asyncpg.Pool, tenants: Sequence[str], begin: datetime, hours: int) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO aggregator.series (identity, meter, tenant, dimensions)
            SELECT substring(sha256(tenant::bytea) FOR 16), 'requests', tenant, '{"region": "past"}'
            FROM unnest($1::text[]) AS tenant
            """,
            tenants,
        )
        await connection.execute(
            """
            INSERT INTO aggregator.hours (series, bucket, shard, count, version)
            SELECT id, $1::timestamptz + hour * interval '1 hour', id % $3, 1, 0
            FROM aggregator.series
            CROSS JOIN generate_series(0, $2::integer - 1) AS hour
            WHERE dimensions = '{"region": "past"}'
            """,
            begin,
            hours,
            SHARDS,
        )
        await connection.execute("ANALYZE aggregator.series, aggregator.hours")
        end = begin + timedelta(hours=hours)
        for shard in range(SHARDS):
            filled = await connection.fetch(
                """
                SELECT id
                FROM aggregator.series
                WHERE dimensions = '{"region": "past"}'
                  AND id % $1 = $2
                """,
                SHARDS,
                shard,
            )
            begun = [(row["id"], end) for row in filled]
            await rollups.fold_days(connection, shard=shard, version=0, begun=begun)


async def projection(
    pool: asyncpg.Pool, used: Mapping[str, int], begin: datetime, hours: int, every: int = 1
) -> None:
    """What each tenant used of `requests` in the hours from `begin` on, or in `every` so many of
    them, as rating keeps it: the hours, and days made of them."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """
            INSERT INTO rating.usage_hours
                (tenant, meter, hour, group_key, shard, aggregation, count, version)
            SELECT tenant, 'requests', $3::timestamptz + hour * interval '1 hour', $6, 0, 'count',
                   used, 0
            FROM unnest($1::text[], $2::bigint[]) AS tenant (tenant, used)
            CROSS JOIN generate_series(0, $4::integer - 1, $5::integer) AS hour
            """,
            list(used),
            list(used.values()),
            begin,
            hours,
            every,
            PAST,
        )
        await connection.execute("ANALYZE rating.usage_hours")
        end = begin + timedelta(hours=hours)
        await fold(connection, "rating", begun=[(one, "requests", end) for one in used], changed=[])
        await connection.execute("ANALYZE rating.usage_days")


async def counts(ground: Ground) -> dict[str, Any]:
    """How much there is, for the record."""
    ingest, aggregator = await ground.pool("ingest"), await ground.pool("aggregator")
    return {
        "ids": await ingest.fetchval("SELECT coalesce(sum(ids), 0) FROM ingest.ledger_blocks"),
        "hours": await aggregator.fetchval("SELECT count(*) FROM aggregator.hours"),
        "meters": await aggregator.fetchval("SELECT count(*) FROM aggregator.meters"),
    }
