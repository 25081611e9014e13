"""A finalised invoice cannot be changed: direct SQL as the service's own role, and as the owner."""

import asyncpg
import pytest

from common.db import connect
from tests.integration.invoicer.conftest import Books
from tests.support.databases import Database
from tests.unit.invoicer.charging import charge, fee

CHANGES = [
    "UPDATE invoicer.invoices SET total = 0",
    "UPDATE invoicer.invoices SET number = 'TG-999999'",
    "UPDATE invoicer.invoices SET document = '{}'",
    "UPDATE invoicer.invoices SET hash = 'x', previous_hash = 'y'",
    "UPDATE invoicer.invoices SET state = 'paid', total = 0",
    "UPDATE invoicer.invoices SET state = 'finalised'",
    "DELETE FROM invoicer.invoices",
    "TRUNCATE invoicer.invoices CASCADE",
    "UPDATE invoicer.invoice_lines SET amount = 0",
    "DELETE FROM invoicer.invoice_lines",
    "TRUNCATE invoicer.invoice_lines",
    "UPDATE invoicer.invoice_changes SET tenant = 'x'",
    "DELETE FROM invoicer.invoice_changes",
    "INSERT INTO invoicer.invoice_lines SELECT invoice, 99, kind, 'other', 1, quantity, 1, 0"
    " FROM invoicer.invoice_lines LIMIT 1",
]
OWNERS_TOOLS = [
    "DELETE FROM invoicer.series",
    "ALTER TABLE invoicer.invoices DISABLE TRIGGER ALL",
    "DROP TRIGGER guard_state ON invoicer.invoices",
    "DROP TABLE invoicer.invoice_lines",
    "CREATE OR REPLACE FUNCTION invoicer.guard_state() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'",
    "SET session_replication_role = replica",
]
REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError)


@pytest.fixture
async def issued(books: Books) -> Books:
    """Books with one finalised invoice."""
    await books.put(fee(), charge())
    await books.bill()
    assert await books.numbers() == ["TG-000001"]
    return books


@pytest.mark.parametrize("statement", CHANGES + OWNERS_TOOLS)
async def test_the_service_role_cannot_change_it(issued: Books, statement: str) -> None:
    before = await _everything(issued)
    async with issued.pool.acquire() as connection:
        with pytest.raises(REFUSED):
            await connection.execute(statement)
    assert await _everything(issued) == before


@pytest.mark.parametrize("statement", CHANGES)
async def test_the_triggers_bind_the_owner_too(
    issued: Books, invoicer_database: Database, statement: str
) -> None:
    before = await _everything(issued)
    owner = await connect(invoicer_database.owner_url)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute(statement)
    finally:
        await owner.close()
    assert await _everything(issued) == before


async def test_the_service_role_owns_nothing(issued: Books) -> None:
    owned = await issued.pool.fetch(
        "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
    )
    assert owned == []


async def test_the_service_role_cannot_give_itself_rights(issued: Books) -> None:
    await issued.pool.execute("GRANT UPDATE, DELETE ON invoicer.invoices TO invoicer")  # a warning
    held = await issued.pool.fetchval(
        "SELECT has_table_privilege('invoicer.invoices', 'UPDATE, DELETE, TRUNCATE')"
    )
    assert held is False


async def test_only_its_state_moves_and_only_forward(issued: Books) -> None:
    pay = "UPDATE invoicer.invoices SET state = 'paid', state_at = now()"
    await issued.pool.execute(pay)
    assert await issued.pool.fetchval("SELECT state FROM invoicer.invoices") == "paid"
    for state in ("void", "finalised"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await issued.pool.execute("UPDATE invoicer.invoices SET state = $1", state)


async def test_an_invoice_that_does_not_add_up_or_follow_is_refused(issued: Books) -> None:
    copy = """
        INSERT INTO invoicer.invoices
        SELECT gen_random_uuid(), run, legal_entity, series, {value}, 'TG-2', 'finalised', state_at,
               tenant, 'USD', period_from, period_to, issued_at, {total}, document, hash,
               {previous}, {tax}, {wallet}
        FROM invoicer.invoices
        WHERE number_value = 1
    """
    fine = {"value": "2", "total": "0", "previous": "hash", "tax": "0", "wallet": "0"}
    wrong = [
        ("the total says", {"total": "1"}),
        ("the total says", {"tax": "1"}),
        ("the wallet pays 1 of 0", {"wallet": "1"}),
        ("the wallet pays 1 of -1", {"total": "-1", "tax": "-1", "wallet": "1"}),
        ("no wallet has paid 1", {"total": "1", "tax": "1", "wallet": "1"}),
        ("does not follow", {"previous": "previous_hash"}),
        ("does not follow", {"value": "3"}),
    ]
    for reason, values in wrong:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=reason):
            await issued.pool.execute(copy.format(**fine | values))


async def _everything(books: Books) -> list[object]:
    rows = await books.pool.fetch("SELECT * FROM invoicer.invoices ORDER BY id")
    lines = await books.pool.fetch(
        "SELECT * FROM invoicer.invoice_lines ORDER BY invoice, position"
    )
    changes = await books.pool.fetch("SELECT * FROM invoicer.invoice_changes ORDER BY revision")
    return [*rows, *lines, *changes]
