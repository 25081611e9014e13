"""Databases of before: what was invoiced stays as it was, and is corrected without tax."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from common.migrations import migrate
from tests.support.databases import Database

INVOICED = """
INSERT INTO invoicer.runs (id, through, state, created_at, patience_end)
VALUES ('00000000-0000-0000-0000-000000000001', now(), 'done', now(), now());

INSERT INTO invoicer.charges
    (id, tenant, currency, period_from, period_to, due_at, closed, version, body,
     invoiced_version, invoiced_quantity, invoiced_amount)
SELECT id, 'acme', 'EUR', now(), now(), now(), true, 1, '{}', version, amount, amount
FROM (VALUES ('on an invoice', 1, 5), ('withdrawn before it was on one', 1, 0),
             ('not looked at', NULL, NULL)) AS given (id, version, amount);

INSERT INTO invoicer.invoice_lines
VALUES ('00000000-0000-0000-0000-000000000002', 1, 'fee', 'on an invoice', 1, 1, 5, 0, NULL);
INSERT INTO invoicer.invoices
VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'main',
        'TG', 1, 'TG-000001', 'finalised', now(), 'acme', 'EUR', now(), now(), now(), 5, '{}', 'h',
        'g');
"""


@pytest.fixture
async def before(database: Callable[..., Database]) -> Database:
    """A database without taxes, with charges in it."""
    made = database()
    await upgrade(made, "0002")
    connection = await asyncpg.connect(made.owner_url)
    try:
        async with connection.transaction():
            await connection.execute(INVOICED)
    finally:
        await connection.close()
    return made


async def upgrade(made: Database, to: str = "head") -> None:
    await asyncio.to_thread(
        migrate, "invoicer", database_url=made.service_url, migrations_url=made.owner_url, to=to
    )


async def test_only_what_is_on_an_invoice_was_invoiced_without_tax(before: Database) -> None:
    await upgrade(before)
    connection = await asyncpg.connect(before.owner_url)
    try:
        invoiced: list[Any] = await connection.fetch(
            "SELECT id, invoiced_taxes FROM invoicer.charges WHERE invoiced_version IS NOT NULL"
        )
        assert {row["id"]: row["invoiced_taxes"] for row in invoiced} == {
            "on an invoice": "[]",
            "withdrawn before it was on one": None,
        }
        [invoice] = await connection.fetch("SELECT * FROM invoicer.invoices")
        assert (invoice["total"], invoice["tax"], invoice["paid_from_wallet"]) == (5, 0, 0)
    finally:
        await connection.close()
