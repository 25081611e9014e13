"""The ledger contracts, over the plain table, the packed blocks, and the model in memory."""

import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from common.db import create_pool
from common.stream.memory import MemorySession, MemoryStore
from ingest.compaction import compact_once
from ingest.ledger import Ledger
from ingest.packed.ledger import PackedLedger
from ingest.store.plain_ledger import PlainLedger
from tests.integration.ingest.ledger_contract import LedgerContract, Transactions
from tests.integration.ingest.shared_ledger_contract import (
    Compaction,
    NewLedger,
    SharedLedgerContract,
)
from tests.simulation.models import ledger as simulated
from tests.support.databases import Database
from tests.support.model_ledger import ModelLedger, Rows


class TestModelLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return ModelLedger()

    @pytest.fixture
    def transactions(self) -> Transactions:
        committed: dict[Any, Any] = {}

        @asynccontextmanager
        async def transaction() -> AsyncIterator[Rows]:
            rows = copy.copy(committed)
            yield rows
            committed.clear()
            committed.update(rows)

        return transaction


class TestSimulatedLedger(LedgerContract):
    """The model that the simulation of the stages runs on."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        return simulated.ModelLedger()

    @pytest.fixture
    def transactions(self) -> Transactions:
        store = MemoryStore(clock=lambda: 0.0)

        async def pass_on(point: str) -> None:
            pass

        @asynccontextmanager
        async def transaction() -> AsyncIterator[Any]:
            async with MemorySession(store, pass_on).connection.transaction() as tx:
                yield tx

        return transaction


@pytest.fixture(scope="module")
def database_url(database: Callable[..., Database]) -> str:
    return database("ingest").service_url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url)
    await pool.execute("DELETE FROM ingest.ledger; DELETE FROM ingest.ledger_blocks")
    yield pool
    await pool.close()


@pytest.fixture
def transactions_of(pool: asyncpg.Pool) -> Transactions:
    @asynccontextmanager
    async def transaction() -> AsyncIterator[Any]:
        async with pool.acquire() as connection, connection.transaction():
            yield connection

    return transaction


class TestPlainLedger(LedgerContract, SharedLedgerContract):
    @pytest.fixture
    def new_ledger(self) -> NewLedger:
        return PlainLedger

    @pytest.fixture
    def ledger(self) -> Ledger:
        return PlainLedger()

    @pytest.fixture
    def transactions(self, transactions_of: Transactions) -> Transactions:
        return transactions_of


async def crush(pool: asyncpg.Pool) -> None:
    """Compact all there is, in the smallest pieces."""
    await compact_once(pool, before_day=30_000, crumbs=2, pass_ids=3, block_ids=2)


class TestPackedLedger(LedgerContract, SharedLedgerContract):
    @pytest.fixture
    def new_ledger(self) -> NewLedger:
        return PackedLedger

    @pytest.fixture
    def compact(self) -> Compaction:
        return crush

    @pytest.fixture
    def ledger(self) -> Ledger:
        return PackedLedger()

    @pytest.fixture
    def transactions(self, transactions_of: Transactions) -> Transactions:
        return transactions_of


class TestPackedLedgerWithoutRoom(SharedLedgerContract):
    """With a byte of memory: every day is read again whenever it is asked for."""

    examples = 20

    @pytest.fixture
    def new_ledger(self) -> NewLedger:
        return lambda: PackedLedger(memory_bytes=1, cache_bytes=1, trim_seconds=0)

    @pytest.fixture
    def compact(self) -> Compaction:
        return crush
