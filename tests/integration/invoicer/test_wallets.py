"""What tenants paid in advance pays their invoices once, never more than there is, crash or not."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from common.contracts.tenants import TenantTax
from common.db import connect
from invoicer.store import wallets
from invoicer.store.wallets import Entry, Overdrawn, ReferenceUsed, Stored
from tests.integration.invoicer.conftest import Books
from tests.integration.invoicer.test_finalise import Crash, Crashing, claimed, finalise
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.unit.invoicer.charging import ACME, DECEMBER, charge, fee

TAXED = msgspec.structs.replace(ACME, taxes=[TenantTax(name="VAT", percent=Decimal("8.25"))])


async def move(books: Books, amount: str, **fields: Any) -> Stored:
    kind = "top_up" if Decimal(amount) > 0 else "payout"
    given = {
        "tenant": "acme",
        "currency": "EUR",
        "kind": kind,
        "at": datetime.now(UTC),
        "reference": str(uuid4()),
    } | fields
    async with books.pool.acquire() as connection, connection.transaction():
        return await wallets.record(connection, Entry(amount=Decimal(amount), **given))


async def entries(books: Books) -> list[tuple[str, Decimal, Decimal]]:
    """(kind, amount, balance), oldest first, and the wallet agrees with the last."""
    found = await wallets.newest(books.pool, "acme", "EUR", None, 100)
    held = await wallets.balance(books.pool, "acme", "EUR")
    assert held == (found[0].balance if found else 0)
    return [(one.kind, one.amount, one.balance) for one in reversed(found)]


async def paid(books: Books) -> list[tuple[str, str, str, str]]:
    """(total, tax, from the wallet, payable) of all invoices."""
    rows = await books.pool.fetch(
        "SELECT document::jsonb AS said, total, tax, paid_from_wallet FROM invoicer.invoices"
        " ORDER BY number_value"
    )
    for row in rows:
        assert row["total"] == Decimal(row["said"]["total"])
        assert row["paid_from_wallet"] == Decimal(row["said"]["paid_from_wallet"])
    return [
        (str(row["total"]), str(row["tax"]), str(row["paid_from_wallet"]), row["said"]["payable"])
        for row in rows
    ]


async def test_a_wallet_pays_invoices_until_it_is_empty(books: Books) -> None:
    books.tenants["acme"] = TAXED
    await move(books, "100.00", reference="bank 1")
    await books.put(charge("first", "70"))
    await books.bill()
    await books.put(charge("second", "70"))
    await books.bill(DECEMBER + timedelta(minutes=1))
    await books.put(charge("third", "70"))
    await books.bill(DECEMBER + timedelta(minutes=2))
    assert await paid(books) == [
        ("75.78", "5.78", "75.78", "0.00"),
        ("75.78", "5.78", "24.22", "51.56"),
        ("75.78", "5.78", "0.00", "75.78"),
    ]
    assert await entries(books) == [
        ("top_up", Decimal("100.00"), Decimal("100.00")),
        ("invoice", Decimal("-75.78"), Decimal("24.22")),
        ("invoice", Decimal("-24.22"), Decimal("0.00")),
    ]
    newest = (await wallets.newest(books.pool, "acme", "EUR", None, 1))[0]
    assert newest.reference == "TG-000002"


async def test_a_correction_keeps_the_tax_that_its_charge_was_invoiced_with(books: Books) -> None:
    books.tenants["acme"] = TAXED
    await books.put(charge("old", "100"))
    await books.bill()
    books.tenants["acme"] = msgspec.structs.replace(
        ACME, taxes=[TenantTax(name="VAT", percent=Decimal(10))]
    )
    await books.put(charge("old", "200", version=2), charge("new", "50"))
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert [row[:2] for row in await paid(books)] == [("108.25", "8.25"), ("163.25", "13.25")]
    await books.put(charge("old", "0", version=3, withdrawn=True))
    await books.bill(DECEMBER + timedelta(minutes=2))
    assert (await paid(books))[2][:2] == ("-216.50", "-16.50")


async def test_a_withdrawn_charge_that_comes_back_is_taxed(books: Books) -> None:
    books.tenants["acme"] = TAXED
    await books.put(fee(), charge("c", "0", withdrawn=True))
    await books.bill()
    await books.put(charge("c", "100", version=2))
    await books.bill(DECEMBER + timedelta(minutes=1))
    assert (await paid(books))[1][:2] == ("108.25", "8.25")


async def test_a_wallet_is_of_one_currency(books: Books) -> None:
    await move(books, "100.00", currency="USD")
    await books.put(fee())
    await books.bill()
    assert (await paid(books))[0][2] == "0.00"


async def test_what_makes_no_invoice_takes_nothing(books: Books) -> None:
    await move(books, "10.00")
    await books.put(charge("gone", "0", withdrawn=True))
    await books.bill()
    assert await books.numbers() == []
    assert len(await entries(books)) == 1


async def test_a_wallet_cannot_be_overdrawn(books: Books) -> None:
    with pytest.raises(Overdrawn):
        await move(books, "-1.00")
    await move(books, "5.00")
    with pytest.raises(Overdrawn):
        await move(books, "-5.01")
    await move(books, "-5.00")
    assert [one[2] for one in await entries(books)] == [Decimal("5.00"), Decimal("0.00")]


async def test_movements_at_once_wait_for_each_other(books: Books) -> None:
    await move(books, "10.00")
    taken = await asyncio.gather(*(move(books, "-3.00") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, Overdrawn) for one in taken) == 3
    assert (await entries(books))[-1] == ("payout", Decimal("-3.00"), Decimal("1.00"))


async def test_a_payout_waits_for_the_invoice_that_is_being_made(books: Books) -> None:
    await move(books, "49.00")
    await books.put(fee())
    await books.start()
    run = await claimed(books)
    locked, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Crashing):
        async def fetchval(self, *arguments: Any) -> Any:
            found = await super().fetchval(*arguments)
            if "FROM invoicer.wallets" in arguments[0]:
                locked.set()
                await go_on.wait()
            return found

    async with books.pool.acquire() as connection:
        making = asyncio.create_task(finalise(books, Slow(connection), run))
        await locked.wait()
        paying = asyncio.create_task(move(books, "-49.00"))
        blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        await eventually(lambda: books.pool.fetchval(blocked))
        go_on.set()
        await making
    with pytest.raises(Overdrawn):
        await paying
    assert await paid(books) == [("49.00", "0.00", "49.00", "0.00")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_statement_pays_once_or_not_at_all(books: Books, after: bool) -> None:
    await move(books, "5.00")
    await books.put(charge("c", "70"))
    await books.start()
    crashes = 0
    while True:
        run = await claimed(books)
        connection = await connect(books.url)
        try:
            await finalise(books, Crashing(connection, crashes + 1, after=after), run, TAXED)
            break
        except Crash:
            crashes += 1
        finally:
            connection.terminate()
    # The twelve of any invoice, and the wallet's row, its balance, its entry.
    assert crashes == 15
    await books.runner().tick()
    assert (await books.run(run)).state == "done"
    assert await paid(books) == [("75.78", "5.78", "5.00", "70.78")]
    assert [one[0] for one in await entries(books)] == ["top_up", "invoice"]


async def test_a_reference_moves_money_once(books: Books) -> None:
    await move(books, "5.00", reference="bank 1")
    with pytest.raises(ReferenceUsed):
        await move(books, "6.00", reference="bank 1")
    await move(books, "-1.00", reference="bank 1")
    await move(books, "5.00", reference="bank 1", currency="USD")
    assert [one[1] for one in await entries(books)] == [Decimal("5.00"), Decimal("-1.00")]


async def test_a_process_that_knows_no_taxes_tries_again(books: Books) -> None:
    """Its statement leaves out the new columns: a fault of its own, not the invoice's, for which
    the run would go on without the tenant."""
    await books.put(fee())
    await books.bill()
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="knows no taxes"):
        await books.pool.execute(
            """
            INSERT INTO invoicer.invoices
                (id, run, legal_entity, series, number_value, number, state, state_at, tenant,
                 currency, period_from, period_to, issued_at, total, document, hash, previous_hash)
            SELECT gen_random_uuid(), run, legal_entity, series, 2, 'TG-2', state, state_at, 'b',
                   currency, period_from, period_to, issued_at, 0, document, hash, hash
            FROM invoicer.invoices
            """
        )


CHANGES = [
    "UPDATE invoicer.wallet_entries SET amount = 1",
    "DELETE FROM invoicer.wallet_entries",
    "TRUNCATE invoicer.wallet_entries",
]
FORGED = [
    (4, "top_up", 5, 5, "does not follow"),
    (3, "top_up", 5, 50, "does not follow"),
    (3, "payout", 5, 49, "check"),
    (3, "invoice", -5, 39, "check"),
]


@pytest.fixture
async def spent(books: Books) -> Books:
    """A wallet that paid one invoice."""
    await move(books, "49.00")
    await books.put(charge("c", "5"))
    await books.bill()
    return books


@pytest.mark.parametrize("statement", CHANGES)
async def test_entries_cannot_be_changed(
    spent: Books, invoicer_database: Database, statement: str
) -> None:
    before = await entries(spent)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await spent.pool.execute(statement)
    owner = await connect(invoicer_database.owner_url)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute(statement)
    finally:
        await owner.close()
    assert await entries(spent) == before


@pytest.mark.parametrize(("number", "kind", "amount", "balance", "reason"), FORGED)
async def test_entries_that_do_not_follow_are_refused(
    spent: Books, number: int, kind: str, amount: int, balance: int, reason: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=reason):
        await spent.pool.execute(
            """
            INSERT INTO invoicer.wallet_entries
            VALUES ('acme', 'EUR', $1, $2, $3, $4, NULL, '', '', '', now())
            """,
            number,
            kind,
            amount,
            balance,
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoicer.wallets SET balance = balance + 1",
        "UPDATE invoicer.wallets SET last_number = last_number - 1",
        "INSERT INTO invoicer.wallets VALUES ('b', 'EUR', 0, 5)",
    ],
)
async def test_a_balance_is_that_of_its_last_entry(spent: Books, statement: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="without an entry"):
        await spent.pool.execute(statement)


async def test_an_entry_pays_what_its_invoice_says(spent: Books) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=r"invoice .* says 5"):
        await spent.pool.execute(
            """
            INSERT INTO invoicer.wallet_entries
            SELECT tenant, currency, number + 1, kind, -1, balance - 1, invoice, '', '', '', now()
            FROM invoicer.wallet_entries
            WHERE kind = 'invoice'
            """
        )
