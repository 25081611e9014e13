"""Finalising on the real database: all or nothing, once, without gaps, whatever fails when."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from common.contracts.tenants import Tenant
from common.db import connect
from invoicer.canonical import GENESIS
from invoicer.finalise import finalise_tenant
from invoicer.store import runs
from invoicer.store.runs import LostLease, Run
from tests.integration.invoicer.conftest import Books
from tests.support.eventually import eventually
from tests.unit.invoicer.charging import ACME, DECEMBER, NOVEMBER, OCTOBER, charge, fee


class Crash(Exception):
    """The process died here."""


class Crashing:
    """A connection that dies before or after its nth call; 0 lets all through and counts."""

    def __init__(self, connection: Any, dies_at: int = 0, *, after: bool = False) -> None:
        self._connection, self._dies_at, self._after = connection, dies_at, after
        self.calls = 0

    async def _call(self, call: Any, *arguments: Any) -> Any:
        self.calls += 1
        dies = self.calls == self._dies_at
        if dies and not self._after:
            self._die()
        result = await call(*arguments)
        if dies:
            self._die()
        return result

    def _die(self) -> None:
        self._connection.terminate()
        raise Crash(self.calls)

    async def execute(self, *arguments: Any) -> Any:
        return await self._call(self._connection.execute, *arguments)

    async def fetch(self, *arguments: Any) -> Any:
        return await self._call(self._connection.fetch, *arguments)

    async def fetchrow(self, *arguments: Any) -> Any:
        return await self._call(self._connection.fetchrow, *arguments)

    async def fetchval(self, *arguments: Any) -> Any:
        return await self._call(self._connection.fetchval, *arguments)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        transaction = self._connection.transaction()
        await self._call(transaction.start)
        try:
            yield
        except Crash:
            raise  # there is no connection any more to roll back on
        except BaseException:
            await transaction.rollback()
            raise
        await self._call(transaction.commit)


async def finalise(books: Books, connection: Any, run: Run, tenant: Tenant = ACME) -> Any:
    return await finalise_tenant(
        connection,
        run,
        tenant=tenant,
        currency="EUR",
        seller=books.settings.seller,
        series="TG",
        now=books.now,
        lease_seconds=10,
    )


async def claimed(books: Books, worker: str = "w1") -> Run:
    # The server takes a moment to roll back for a client that died; its rows are locked till then.
    found = await eventually(lambda: runs.claim(books.pool, worker, 10))
    return found[0]


async def test_a_tenants_month_becomes_one_invoice(books: Books) -> None:
    await books.put(fee(), charge(amount="246.9134"), charge("other", subscription="s2"))
    run = await books.bill()
    assert run.state == "done"
    assert await books.numbers() == ["TG-000001"]
    assert await books.lines() == [
        ("TG-000001", "fee", "fee", Decimal("49.00")),
        ("TG-000001", "usage", "c1", Decimal("246.91")),
        ("TG-000001", "usage", "other", Decimal("12.34")),
    ]


async def test_a_second_run_finds_nothing_to_invoice(books: Books) -> None:
    await books.put(fee())
    first = await books.bill()
    assert (await books.bill()).id == first.id
    assert (await books.bill(DECEMBER + timedelta(minutes=1))).state == "done"
    assert await books.numbers() == ["TG-000001"]


async def test_only_what_is_closed_and_has_ended_is_invoiced(books: Books) -> None:
    await books.put(
        charge("open", closed=False), charge("later", period_from=DECEMBER, period_to=books.now)
    )
    await books.bill()
    assert await books.numbers() == []


async def test_late_usage_is_an_adjustment_on_the_next_invoice(books: Books) -> None:
    await books.put(charge("oct", "10", "100", period_from=OCTOBER, period_to=NOVEMBER))
    await books.bill(NOVEMBER)
    late = charge("oct", "12.5", "125", version=2, period_from=OCTOBER, period_to=NOVEMBER)
    await books.put(late, fee("nov"))
    await books.bill(DECEMBER)
    assert await books.lines() == [
        ("TG-000001", "usage", "oct", Decimal("10.00")),
        ("TG-000002", "fee", "nov", Decimal("49.00")),
        ("TG-000002", "adjustment", "oct", Decimal("2.50")),
    ]


async def test_an_older_version_that_arrives_late_changes_nothing(books: Books) -> None:
    await books.put(charge(amount="20", version=3))
    await books.put(charge(amount="10", version=2))
    await books.bill()
    assert await books.lines() == [("TG-000001", "usage", "c1", Decimal("20.00"))]


async def test_the_invoices_of_a_series_are_a_chain(books: Books) -> None:
    for tenant in ("acme", "beta", "gamma"):
        books.tenants[tenant] = msgspec.structs.replace(ACME, key=tenant)
        await books.put(fee(f"fee-{tenant}", tenant=tenant))
    await books.bill()
    rows = await books.pool.fetch(
        "SELECT document, hash, previous_hash FROM invoicer.invoices ORDER BY number_value"
    )
    assert len(rows) == 3
    previous = GENESIS
    for row in rows:
        assert hashlib.sha256(row["document"].encode()).hexdigest() == row["hash"]
        assert row["previous_hash"] == json.loads(row["document"])["previous_hash"] == previous
        previous = row["hash"]


async def test_two_currencies_are_two_invoices(books: Books) -> None:
    await books.put(fee(), charge("yen", "1234.5", currency="JPY"))
    await books.bill()
    assert [(line[2], line[3]) for line in await books.lines()] == [
        ("fee", Decimal("49.00")),
        ("yen", Decimal("1235")),
    ]
    assert len(await books.numbers()) == 2


async def test_a_line_keeps_the_trace_of_its_charge(books: Books) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await books.put(fee(), traceparent=traceparent)
    await books.bill()
    kept = await books.pool.fetchval("SELECT traceparent FROM invoicer.invoice_lines")
    assert kept == traceparent


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_statement_leaves_no_gap_and_nothing_twice(
    books: Books, after: bool
) -> None:
    await books.put(fee("first"), charge("second", "1.005"))
    run = await books.start(DECEMBER)
    crashes = 0
    while True:
        # What a crash leaves is what the next attempt finds.
        run = await claimed(books)
        connection = await connect(books.url)
        try:
            await finalise(books, Crashing(connection, crashes + 1, after=after), run)
            break
        except Crash:
            crashes += 1
            assert await books.numbers() in ([], ["TG-000001"])
        finally:
            connection.terminate()
    # Begin, hold, charges, wallet, lines, mark, number, invoice, chain, revision, change, commit.
    assert crashes == 12
    assert await books.numbers() == ["TG-000001"]
    assert len(await books.lines()) == 2
    await books.runner().tick()
    assert (await books.run(run)).state == "done"
    await books.put(fee("next"))
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert await books.numbers() == ["TG-000001", "TG-000002"]
    assert await books.pool.fetchval("SELECT count(*) FROM invoicer.invoice_changes") == 2


async def test_when_a_statement_fails_the_number_is_given_back(books: Books) -> None:
    await books.put(fee("first"))
    await books.start()
    run = await claimed(books)

    class Failing(Crashing):
        def _die(self) -> None:
            raise asyncpg.QueryCanceledError("cancelled")

    for fails_at in range(2, 12):
        async with books.pool.acquire() as connection:
            with pytest.raises(asyncpg.QueryCanceledError):
                await finalise(books, Failing(connection, fails_at), run)
        assert await books.pool.fetchval("SELECT count(*) FROM invoicer.series") == 0
    await books.runner().tick()
    assert await books.numbers() == ["TG-000001"]


async def test_a_runner_that_lost_its_lease_writes_nothing(books: Books) -> None:
    await books.put(fee())
    await books.start()
    zombie = await claimed(books, "zombie")
    await books.pool.execute("UPDATE invoicer.runs SET lease_expires_at = now() - interval '1 s'")
    successor = await claimed(books, "successor")
    assert successor.epoch == zombie.epoch + 1
    async with books.pool.acquire() as connection:
        with pytest.raises(LostLease):
            await finalise(books, connection, zombie)
    assert await books.numbers() == []


async def test_concurrent_runners_of_several_runs_invoice_everything_once(books: Books) -> None:
    for i in range(8):
        key = f"tenant-{i}"
        books.tenants[key] = msgspec.structs.replace(ACME, key=key)
        await books.put(*(fee(f"{key}-{j}", tenant=key) for j in range(3)))
    started = [await books.start(DECEMBER + timedelta(seconds=i)) for i in range(4)]
    runners = [books.runner(f"w{i}") for i in range(4)]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]

    async def all_done() -> bool:
        return all([(await books.run(run)).state == "done" for run in started])

    await eventually(all_done, timeout=30)
    for runner in runners:
        runner.stop()
    await asyncio.gather(*tasks)
    assert await books.numbers() == [f"TG-{n:06d}" for n in range(1, 9)]
    assert len(await books.lines()) == 24


async def test_a_charge_that_changes_while_it_is_invoiced_waits_and_follows(books: Books) -> None:
    await books.put(charge(amount="10", quantity="100"))
    await books.start()
    run = await claimed(books)
    async with books.pool.acquire() as connection:
        other = asyncio.Event()

        class Slow(Crashing):
            async def fetchrow(self, *arguments: Any) -> Any:
                other.set()
                return await super().fetchrow(*arguments)

        finalising = asyncio.create_task(finalise(books, Slow(connection), run))
        await other.wait()
        await books.put(charge(amount="15", quantity="150", version=2))
        await finalising
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert await books.lines() == [
        ("TG-000001", "usage", "c1", Decimal("10.00")),
        ("TG-000002", "adjustment", "c1", Decimal("5.00")),
    ]
