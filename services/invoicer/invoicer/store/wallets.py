"""Wallets: money that tenants paid in advance, a balance a tenant and currency, and the entries
that made it. Entries are never changed (migrations/versions/0003)."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec


class Overdrawn(Exception):
    """The wallet holds less than an entry takes out; nothing was written."""


class ReferenceUsed(Exception):
    """An entry of that kind with that reference is there; nothing was written."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A movement, in whole minor units: into the wallet above 0, out of it below. `invoice`: what
    it paid. `reference`: of the payment, which moves money once, or the invoice's number."""

    tenant: str
    currency: str
    kind: Literal["top_up", "payout", "invoice"]
    amount: Decimal
    at: datetime
    invoice: UUID | None = None
    reference: str = ""
    reason: str = ""
    by: str = ""


class Stored(Entry, frozen=True, kw_only=True):
    """An entry as it was written: its number in its wallet, and what that held after it."""

    number: int
    balance: Decimal


_COLUMNS = "tenant, currency, number, kind, amount, balance, invoice, reference, reason, actor, at"


async def balances(connection: Any, tenant: str) -> Mapping[str, Decimal]:
    """What the tenant's wallets hold, by currency; those that were never used are not there."""
    rows = await connection.fetch(
        "SELECT currency, balance FROM invoicer.wallets WHERE tenant = $1 ORDER BY currency", tenant
    )
    return {row["currency"]: row["balance"] for row in rows}


async def balance(connection: Any, tenant: str, currency: str) -> Decimal:
    """What the wallet holds."""
    return (await balances(connection, tenant)).get(currency, Decimal(0))


async def lock(tx: Any, tenant: str, currency: str) -> Decimal:
    """What the wallet holds; nobody else moves money until the transaction ends. A wallet that
    was never used holds 0 and is not locked."""
    held: Decimal | None = await tx.fetchval(
        """
        SELECT balance
        FROM invoicer.wallets
        WHERE tenant = $1 AND currency = $2
        FOR UPDATE
        """,
        tenant,
        currency,
    )
    return Decimal(0) if held is None else held


async def record(tx: Any, entry: Entry) -> Stored:
    """Write the entry and move the balance. Raises `Overdrawn` or `ReferenceUsed`, after which the
    transaction must be given up."""
    await tx.execute(
        """
        INSERT INTO invoicer.wallets (tenant, currency, last_number, balance)
        VALUES ($1, $2, 0, 0)
        ON CONFLICT DO NOTHING
        """,
        entry.tenant,
        entry.currency,
    )
    wallet = await tx.fetchrow(
        """
        UPDATE invoicer.wallets
        SET last_number = last_number + 1,
            balance = balance + $3
        WHERE tenant = $1 AND currency = $2 AND balance + $3 >= 0
        RETURNING last_number, balance
        """,
        entry.tenant,
        entry.currency,
        entry.amount,
    )
    if wallet is None:
        raise Overdrawn
    made = Stored(
        number=wallet["last_number"], balance=wallet["balance"], **msgspec.structs.asdict(entry)
    )
    try:
        await tx.execute(
            f"""
            INSERT INTO invoicer.wallet_entries ({_COLUMNS})
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            made.tenant,
            made.currency,
            made.number,
            made.kind,
            made.amount,
            made.balance,
            made.invoice,
            made.reference,
            made.reason,
            made.by,
            made.at,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "wallet_entries_reference":
            raise ReferenceUsed from None
        raise
    return made


async def newest(
    connection: Any, tenant: str, currency: str, before: int | None, limit: int
) -> list[Stored]:
    """Up to `limit` entries before the one with that number, the newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM invoicer.wallet_entries
        WHERE tenant = $1
          AND currency = $2
          AND ($3::bigint IS NULL OR number < $3)
        ORDER BY number DESC
        LIMIT $4
        """,
        tenant,
        currency,
        before,
        limit,
    )
    return [_stored(row) for row in rows]


def _stored(row: Any) -> Stored:
    values = dict(row)
    return Stored(by=values.pop("actor"), **values)
