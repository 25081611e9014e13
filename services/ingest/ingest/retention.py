"""Forgets identities that no acceptable event can have any more."""

import asyncio
import logging

import asyncpg

from common.contracts.received import DAY_MS
from common.contracts.topics import RECEIVED
from common.stream.watermark import stage_watermark
from ingest.ledger import Ledger
from ingest.store import nodes

log = logging.getLogger(__name__)
_EVERY_SECONDS = 300.0


async def forget_old(pool: asyncpg.Pool, ledger: Ledger, *, inputs: int, keep_days: int) -> None:
    """Until cancelled, delete what is older than `keep_days` before the watermark.

    Counted from the watermark and not from the clock: an envelope that waited in the backlog
    must still find the identities that were remembered when it was received.
    """
    while True:
        try:
            await forget_once(pool, ledger, inputs=inputs, keep_days=keep_days)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("retention: %r; trying again", error)
        await asyncio.sleep(_EVERY_SECONDS)


async def forget_once(pool: asyncpg.Pool, ledger: Ledger, *, inputs: int, keep_days: int) -> int:
    """Delete all that is old now, a little at a time; returns how many rows."""
    watermark = await stage_watermark(pool, "ingest", RECEIVED, inputs)
    if watermark is None:
        return 0
    first_day = int(watermark.timestamp() * 1000) // DAY_MS - keep_days
    total = 0
    for forget in (ledger.forget_before, nodes.forget_before):
        while True:
            async with pool.acquire() as connection:
                gone = await forget(connection, first_day)
            total += gone
            if not gone:
                break
    return total
