"""The accounting identity, taken in one snapshot and kept as metrics."""

import asyncio
import logging

import asyncpg

from common.bus.types import BusError
from ingest import metrics
from ingest.backlog import Backlog
from ingest.schemas import Accounting
from ingest.store import accounting, nodes

log = logging.getLogger(__name__)


async def take_account(pool: asyncpg.Pool, backlog: Backlog) -> Accounting:
    """Processed elements by the database, at one moment; the rest from the log behind the
    positions of that same moment. Raises `BusError`."""
    accounts = await accounting.accounts(pool)
    pending = await backlog.pending({a.partition: a.next_offset for a in accounts})
    return Accounting(
        received=sum(a.tally.received for a in accounts) + pending,
        counted=sum(a.tally.counted for a in accounts),
        duplicates=sum(a.tally.duplicates for a in accounts),
        parked=sum(a.tally.parked for a in accounts),
        pending=pending,
    )


async def keep_metrics(pool: asyncpg.Pool, backlog: Backlog, every_seconds: float) -> None:
    """Refresh the accounting metrics until cancelled."""
    while True:
        try:
            account = await take_account(pool, backlog)
            for state, elements in account.model_dump().items():
                metrics.ACCOUNTING.labels(state).set(elements)
            metrics.GAPS.set(await nodes.count_gaps(pool))
        except (BusError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("accounting: %r; trying again", error)
        await asyncio.sleep(every_seconds)
