"""The ledger contract, over the plain table and over the model in memory."""

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from common.db import create_pool
from ingest.ledger import Claim, Ledger, Verdict
from ingest.packed.ledger import PackedLedger
from ingest.store.plain_ledger import PlainLedger
from tests.integration.ingest.ledger_contract import LedgerContract, Transactions
from tests.support.databases import Database

Rows = dict[tuple[int, bytes], tuple[tuple[int, int, int], bytes]]


class ModelLedger:
    """The ledger as a dictionary; a transaction is the dictionary itself."""

    async def admit(self, tx: Rows, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        verdicts = [Verdict.FRESH] * len(claims)
        order = sorted(range(len(claims)), key=lambda n: (claims[n].offset, claims[n].number))
        for n in sorted(order, key=lambda n: (claims[n].stamped, claims[n].day)):
            claim = claims[n]
            origin = (partition, claim.offset, claim.number)
            own = tx.get((claim.day, claim.identity))
            if own is None or own[0] != origin:
                days = [claim.day]
                if claim.stamped:
                    days += [claim.day - 1, claim.day + 1]
                found = [row for day in days if (row := tx.get((day, claim.identity)))]
                if found:
                    same = found[0][1] == claim.digest
                    verdicts[n] = Verdict.DUPLICATE if same else Verdict.CONFLICT
                else:
                    tx[claim.day, claim.identity] = (origin, claim.digest)
        return verdicts

    async def decided(self, tx: Rows, partition: int, claims: Sequence[Claim]) -> list[bool]:
        origins = {origin for origin, _ in tx.values()}
        return [(partition, claim.offset, claim.number) in origins for claim in claims]

    async def forget_before(self, tx: Rows, day: int) -> int:
        old = [key for key in tx if key[0] < day]
        for key in old:
            del tx[key]
        return len(old)


class TestModelLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return ModelLedger()

    @pytest.fixture
    def transactions(self) -> Transactions:
        committed: Rows = {}

        @asynccontextmanager
        async def transaction() -> AsyncIterator[Rows]:
            rows = copy.copy(committed)
            yield rows
            committed.clear()
            committed.update(rows)

        return transaction


@pytest.fixture(scope="module")
def database_url(database: Callable[..., Database]) -> str:
    return database("ingest").service_url


class TestPlainLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return PlainLedger()

    @pytest.fixture
    async def transactions(self, database_url: str) -> AsyncIterator[Transactions]:
        pool = await create_pool(database_url, max_size=2)
        await pool.execute("DELETE FROM ingest.ledger")

        @asynccontextmanager
        async def transaction() -> AsyncIterator[Any]:
            async with pool.acquire() as connection, connection.transaction():
                yield connection

        yield transaction
        await pool.close()


class TestPackedLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return PackedLedger()

    @pytest.fixture
    async def transactions(self, database_url: str) -> AsyncIterator[Transactions]:
        pool = await create_pool(database_url, max_size=2)
        await pool.execute("DELETE FROM ingest.ledger; DELETE FROM ingest.ledger_blocks")

        @asynccontextmanager
        async def transaction() -> AsyncIterator[Any]:
            async with pool.acquire() as connection, connection.transaction():
                yield connection

        yield transaction
        await pool.close()
