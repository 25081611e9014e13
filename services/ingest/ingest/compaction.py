"""Keeps the packed ledger in few blocks: small ones are merged, closed days are sorted.

Readers need no help: a step reads the numbers of its groups under their locks, and whatever is
written here has a number too. Blocks are only deleted when others that hold the same are committed,
so an interrupted compaction leaves copies, which change no answer and are swept up the next time.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import numpy as np

from common.contracts.received import DAY_MS
from common.contracts.topics import RECEIVED
from common.stream.watermark import stage_watermark
from ingest import metrics
from ingest.packed.blocks import Block, join, pack, split_hashes
from ingest.store import ledger_blocks, ledger_sorting
from ingest.store.ledger_blocks import Address, Written
from ingest.store.ledger_sorting import Source

log = logging.getLogger(__name__)

_EVERY_SECONDS: Final = 20.0
_CRUMBS_MIN: Final = 256
"""Small blocks of a group's day before they are merged."""
_CRUMBS_MAX: Final = 512
_LATE_BLOCKS: Final = 64
"""Blocks that are added to a sorted day before it is sorted again."""
_CLOSED_DAYS: Final = 1
"""Whole days between a closed day and that of the watermark."""
_READ_BLOCKS: Final = 64
PASS_IDS: Final = 128 * 1024
"""Identities that one transaction of sorting writes."""
BLOCK_IDS: Final = 8192
"""Identities of a sorted block."""


async def compact_for_ever(pool: asyncpg.Pool, *, inputs: int) -> None:
    """Until cancelled, compact what needs it; one process at a time does."""
    while True:
        try:
            watermark = await stage_watermark(pool, "ingest", RECEIVED, inputs)
            if watermark is not None:
                today = int(watermark.timestamp() * 1000) // DAY_MS
                await compact_once(pool, before_day=today - _CLOSED_DAYS)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("compaction: %r; trying again", error)
        await asyncio.sleep(_EVERY_SECONDS)


async def compact_once(
    pool: asyncpg.Pool,
    *,
    before_day: int,
    crumbs: int = _CRUMBS_MIN,
    pass_ids: int = PASS_IDS,
    block_ids: int = BLOCK_IDS,
) -> None:
    """Merge small blocks of all days, and sort the days before `before_day`. Does nothing while
    another process does it."""
    async with pool.acquire() as connection:
        if not await ledger_sorting.try_lock(connection):
            return
        try:
            for grp, day in await ledger_sorting.crumbled(connection, crumbs):
                while await merge_small(connection, grp, day) >= crumbs:
                    pass
            for grp, day in await ledger_sorting.unsorted(connection, before_day, _LATE_BLOCKS):
                await sort_day(connection, grp, day, pass_ids=pass_ids, block_ids=block_ids)
        finally:
            await ledger_sorting.unlock(connection)


async def merge_small(connection: Any, grp: int, day: int) -> int:
    """Replace the oldest small blocks of a day by one, in one transaction; returns how many there
    were, as far as they were looked at."""
    async with connection.transaction():
        (group,) = await ledger_blocks.lock(connection, [grp])
        small = await ledger_sorting.small(connection, grp, day, blocks_max=_CRUMBS_MAX)
        enough = int(np.searchsorted(np.cumsum([s.ids for s, _ in small]), 2 * BLOCK_IDS)) + 1
        crumbs = small[:enough]
        if len(crumbs) > 1:
            block = join([block for _, block in crumbs])
            address = Address(grp, group.number + 1, 0, secrets.randbits(63))
            await ledger_blocks.write(connection, [Written(address, day, pack(block))])
            await ledger_sorting.delete(connection, grp, [source for source, _ in crumbs])
            metrics.LEDGER_COMPACTED.labels("merged").inc(len(crumbs))
    return len(small)


async def sort_day(
    connection: Any, grp: int, day: int, *, pass_ids: int = PASS_IDS, block_ids: int = BLOCK_IDS
) -> None:
    """Replace the blocks of a day by blocks that are sorted across it.

    Each pass sorts one range of the hashes, from what does not change, and writes it in a
    transaction. When all ranges are there, the day is marked and the old blocks are deleted.
    """
    await _sweep(connection, grp, day)
    old = await ledger_sorting.sources(connection, grp, day)
    if len(old) < 2:
        return
    through = old[-1].number
    passes = -(-sum(source.ids for source in old) // pass_ids)
    cuts = await _cuts(connection, grp, old, passes)
    for number in range(passes):
        ranges = [
            (source, int(first), int(end))
            for source, first, end in zip(old, cuts[:, number], cuts[:, number + 1], strict=True)
            if first < end
        ]
        if ranges:
            slices = await ledger_sorting.slices(connection, grp, ranges)
            _all_there(ranges, slices)
            await _write(connection, grp, day, join(slices), through, block_ids)
    await ledger_sorting.mark_sorted(connection, grp, day, through)
    await _sweep(connection, grp, day)
    metrics.LEDGER_COMPACTED.labels("sorted").inc(len(old))


async def _cuts(connection: Any, grp: int, old: Sequence[Source], passes: int) -> Any:
    """Where each pass begins in each block: an array of blocks by passes + 1. Hashes are spread
    evenly, so passes are ranges of one width."""
    bounds = np.array([(2**64 * n) // passes for n in range(1, passes)], np.uint64)
    cuts = np.zeros((len(old), passes + 1), np.int64)
    for at in range(0, len(old), _READ_BLOCKS):
        some = old[at : at + _READ_BLOCKS]
        found = await ledger_sorting.hashes(connection, grp, some)
        _all_there(some, found)
        for row, hashes in enumerate(found, at):
            high, _ = split_hashes(hashes)
            cuts[row, 1:-1] = high.searchsorted(bounds)
            cuts[row, -1] = high.size
    return cuts


async def _write(
    connection: Any, grp: int, day: int, block: Block, through: int, block_ids: int
) -> None:
    async with connection.transaction():
        (group,) = await ledger_blocks.lock(connection, [grp])
        token = secrets.randbits(63)
        written = [
            Written(
                Address(grp, group.number + 1, part, token),
                day,
                pack(block.take(slice(at, at + block_ids))),
                through,
            )
            for part, at in enumerate(range(0, block.ids, block_ids))
        ]
        await ledger_blocks.write(connection, written)


async def _sweep(connection: Any, grp: int, day: int) -> None:
    while await ledger_sorting.sweep(connection, grp, day):
        pass


def _all_there(wanted: Sequence[Any], found: Sequence[Any]) -> None:
    if len(wanted) != len(found):
        raise InterruptedError("blocks were forgotten while they were being sorted")
