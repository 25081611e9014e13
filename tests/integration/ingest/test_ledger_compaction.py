"""Compaction of the packed ledger: few blocks, the same answers, whatever interrupts it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from common.db import create_pool
from ingest import compaction
from ingest.compaction import compact_once, merge_small, sort_day
from ingest.ledger import Claim
from ingest.packed.ledger import PackedLedger
from ingest.store import ledger_sorting
from ingest.store.first_copies import first_copies
from tests.integration.ingest.ledger_contract import DUPLICATE, FRESH, claim
from tests.support.databases import Database

DAY, GROUP = 20_000, 3


@pytest.fixture(scope="module")
def database_url(database: Callable[..., Database]) -> str:
    return database("ingest").service_url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url)
    await pool.execute("DELETE FROM ingest.ledger_blocks; DELETE FROM ingest.ledger_sorted")
    yield pool
    await pool.close()


class Archive:
    """Admits events of one group and day, and knows what the ledger has to say about them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool, self.ledger = pool, PackedLedger()
        self._known: list[Claim] = []

    async def admit(self, events: int) -> None:
        """A step with `events` new events, all of them fresh."""
        offset = self._known[-1].offset + 1 if self._known else 0
        step = [
            claim(f"{offset} {n}", offset, n)._replace(day=DAY, shard=GROUP) for n in range(events)
        ]
        async with self.pool.acquire() as connection, connection.transaction():
            assert await self.ledger.admit(connection, 0, step) == [FRESH] * events
        self._known += step

    async def check(self) -> None:
        """The process that went on and a new one both know every event, and its origin."""
        again = [c._replace(offset=10_000, number=n) for n, c in enumerate(self._known)]
        for ledger in (self.ledger, PackedLedger()):
            async with self.pool.acquire() as connection, connection.transaction():
                assert await ledger.decided(connection, 0, self._known) == [True] * len(again)
                assert await ledger.admit(connection, 0, again) == [DUPLICATE] * len(again)
        one = self._known[-1]
        copies = await first_copies(self.pool, GROUP, one.identity, DAY, DAY)
        assert copies == [(0, one.offset, one.number)]

    async def blocks(self) -> list[tuple[int, bool]]:
        """(identities, is sorted) of each block, by its first hash."""
        rows = await self.pool.fetch(
            "SELECT ids, sorted_through IS NOT NULL FROM ingest.ledger_blocks ORDER BY first_hash"
        )
        return [tuple(row) for row in rows]


class CrashError(Exception):
    pass


class Crashing:
    """A connection that breaks at its call number `at`: before the statement, or after it."""

    def __init__(self, connection: Any, at: int, *, after: bool) -> None:
        self._connection, self._left, self._after = connection, at, after

    def transaction(self) -> Any:
        return self._connection.transaction()

    async def fetch(self, *arguments: Any) -> Any:
        return await self._call(self._connection.fetch, *arguments)

    async def execute(self, *arguments: Any) -> Any:
        return await self._call(self._connection.execute, *arguments)

    async def _call(self, call: Any, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise CrashError
        result = await call(*arguments)
        if self._left == 0:
            raise CrashError
        return result


async def test_a_closed_day_becomes_blocks_that_are_sorted_across_it(pool: asyncpg.Pool) -> None:
    archive = Archive(pool)
    for _ in range(7):
        await archive.admit(30)
    await compact_once(pool, before_day=DAY + 1, pass_ids=70, block_ids=25)
    blocks = await archive.blocks()
    assert sum(ids for ids, _ in blocks) == 210
    assert all(is_sorted and ids <= 25 for ids, is_sorted in blocks)
    overlaps = await pool.fetchval(
        """
        SELECT count(*)
        FROM ingest.ledger_blocks a
        JOIN ingest.ledger_blocks b
          ON (a.number, a.part) < (b.number, b.part)
          AND a.first_hash <= b.last_hash
          AND b.first_hash <= a.last_hash
        """
    )
    assert overlaps == 0, "a lookup reads one block"
    await archive.check()


async def test_open_days_are_not_sorted(pool: asyncpg.Pool) -> None:
    archive = Archive(pool)
    for _ in range(3):
        await archive.admit(5)
    await compact_once(pool, before_day=DAY)
    assert [is_sorted for _, is_sorted in await archive.blocks()] == [False] * 3


async def test_late_events_of_a_sorted_day(pool: asyncpg.Pool) -> None:
    archive = Archive(pool)
    for _ in range(3):
        await archive.admit(10)
    await compact_once(pool, before_day=DAY + 1)
    await archive.admit(4)
    await archive.check()
    await compact_once(pool, before_day=DAY + 1)
    assert sorted(await archive.blocks()) == [(4, False), (30, True)], "few late ones may wait"
    for _ in range(compaction._LATE_BLOCKS):
        await archive.admit(1)
    await compact_once(pool, before_day=DAY + 1)
    assert await archive.blocks() == [(34 + compaction._LATE_BLOCKS, True)]
    await archive.check()


async def test_small_blocks_are_merged_while_the_day_goes_on(pool: asyncpg.Pool) -> None:
    archive = Archive(pool)
    for _ in range(9):
        await archive.admit(2)
    async with pool.acquire() as connection:
        assert await merge_small(connection, GROUP, DAY) == 9
    assert await archive.blocks() == [(18, False)]
    await archive.admit(3)
    await archive.check()


@pytest.mark.parametrize("after", [False, True])
async def test_it_may_be_interrupted_anywhere(pool: asyncpg.Pool, after: bool) -> None:
    archive = Archive(pool)
    for _ in range(4):
        await archive.admit(12)
    at, finished = 0, False
    while not finished:
        at += 1
        async with pool.acquire() as connection:
            try:
                crashing = Crashing(connection, at, after=after)
                await sort_day(crashing, GROUP, DAY, pass_ids=25, block_ids=10)
                finished = True
            except CrashError:
                pass
        await archive.check()
        if at % 5 == 0:
            await archive.admit(1)
    assert at > 12, "it should have been interrupted at every statement"
    async with pool.acquire() as connection:
        await sort_day(connection, GROUP, DAY, pass_ids=25, block_ids=10)
    assert all(is_sorted for _, is_sorted in await archive.blocks())
    await archive.check()


async def test_events_may_arrive_between_its_transactions(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(pool)
    for _ in range(4):
        await archive.admit(12)
    slices = ledger_sorting.slices

    async def meanwhile(*arguments: Any) -> Any:
        found = await slices(*arguments)
        await archive.admit(2)
        await archive.check()
        return found

    monkeypatch.setattr(ledger_sorting, "slices", meanwhile)
    async with pool.acquire() as connection:
        await sort_day(connection, GROUP, DAY, pass_ids=10, block_ids=10)
    ids = [(ids, is_sorted) for ids, is_sorted in await archive.blocks() if not is_sorted]
    assert ids == [(2, False)] * 5
    await archive.check()


async def test_one_process_compacts_at_a_time(pool: asyncpg.Pool) -> None:
    archive = Archive(pool)
    for _ in range(3):
        await archive.admit(5)
    async with pool.acquire() as other:
        assert await ledger_sorting.try_lock(other)
        await compact_once(pool, before_day=DAY + 1)
        assert len(await archive.blocks()) == 3
        await ledger_sorting.unlock(other)
    await compact_once(pool, before_day=DAY + 1)
    assert await archive.blocks() == [(15, True)]


async def test_old_copies_must_not_go_before_the_new_ones_are_seen(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the numbers are for: without them, a process would look into blocks that have gone."""
    archive = Archive(pool)
    archive.ledger = PackedLedger(cache_bytes=1)
    for _ in range(3):
        await archive.admit(5)
    await archive.check()
    await compact_once(pool, before_day=DAY + 1)
    monkeypatch.setattr("ingest.packed.memory.GroupMemory.settle", lambda *_: True)
    with pytest.raises(AssertionError):
        await archive.check()
