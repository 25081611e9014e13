"""Invoices, their lines, their numbers and their history. Nothing here is ever changed but the
state of an invoice; the database refuses anything else (migrations/versions/0001)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from common.bus.types import Record
from common.contracts.invoices import InvoiceChange, invoice_record
from common.money import WIDE
from common.stream.outbox import next_revision
from invoicer.canonical import GENESIS
from invoicer.invoice import Line
from invoicer.numbering import Finalised, Place
from invoicer.store import SCHEMA

CHANGES = "invoices"
"""Name of the revision counter and of the outbox."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as it stands: its canonical document, and the state around it."""

    id: UUID
    run: UUID
    number: str
    state: str
    state_at: datetime
    tenant: str
    currency: str
    period_from: datetime
    period_to: datetime
    issued_at: datetime
    total: Decimal
    document: str
    hash: str
    previous_hash: str


_COLUMNS = """
    id, run, number, state, state_at, tenant, currency, period_from, period_to, issued_at, total,
    document, hash, previous_hash
"""


async def next_place(tx: Any, legal_entity: str, series: str) -> Place:
    """Take the next number. The counter's row stays locked until the transaction ends, and a
    rollback gives the number back: that is what makes a series gapless."""
    row = await tx.fetchrow(
        """
        INSERT INTO invoicer.series AS known (legal_entity, series, last_value, last_hash)
        VALUES ($1, $2, 1, $3)
        ON CONFLICT (legal_entity, series) DO UPDATE SET last_value = known.last_value + 1
        RETURNING last_value, last_hash
        """,
        legal_entity,
        series,
        GENESIS,
    )
    return Place(series, row["last_value"], row["last_hash"])


async def extend_chain(tx: Any, legal_entity: str, series: str, hash: str) -> None:
    """The next invoice of the series will name `hash` as the one before it."""
    await tx.execute(
        "UPDATE invoicer.series SET last_hash = $3 WHERE legal_entity = $1 AND series = $2",
        legal_entity,
        series,
        hash,
    )


async def insert_lines(
    tx: Any, invoice: UUID, lines: Sequence[Line], traceparents: Mapping[str, str | None]
) -> None:
    """The lines of an invoice, before the invoice itself. `traceparents`: by charge."""
    await tx.execute(
        """
        INSERT INTO invoicer.invoice_lines
            (invoice, position, kind, charge, charge_version, quantity, amount, residual,
             traceparent)
        SELECT $1, *
        FROM unnest($2::integer[], $3::text[], $4::text[], $5::bigint[], $6::numeric[],
                    $7::numeric[], $8::numeric[], $9::text[])
        """,
        invoice,
        [line.position for line in lines],
        [line.kind for line in lines],
        [line.charge for line in lines],
        [line.charge_version for line in lines],
        [line.quantity for line in lines],
        [line.amount for line in lines],
        [line.residual for line in lines],
        [traceparents.get(line.charge) for line in lines],
    )


async def insert(tx: Any, run: UUID, finalised: Finalised) -> None:
    """The invoice. From here on it cannot be changed."""
    invoice = finalised.invoice
    await tx.execute(
        """
        INSERT INTO invoicer.invoices
            (id, run, legal_entity, series, number_value, number, state, state_at, tenant,
             currency, period_from, period_to, issued_at, total, tax, paid_from_wallet, document,
             hash, previous_hash)
        VALUES ($1, $2, $3, $4, $5, $6, 'finalised', $7, $8, $9, $10, $11, $7, $12, $13, $14, $15,
                $16, $17)
        """,
        UUID(invoice.id),
        run,
        invoice.legal_entity,
        invoice.series,
        finalised.value,
        invoice.number,
        invoice.issued_at,
        invoice.tenant,
        invoice.currency,
        invoice.period_from,
        invoice.period_to,
        invoice.total,
        WIDE.subtract(invoice.total, invoice.subtotal),
        invoice.paid_from_wallet,
        finalised.document.decode(),
        finalised.hash,
        invoice.previous_hash,
    )


async def record_change(tx: Any, change: InvoiceChange) -> None:
    """Queue a change of state for billing.invoices; its revision is given here."""
    revision = await next_revision(tx, SCHEMA, CHANGES)
    await tx.execute(
        "INSERT INTO invoicer.invoice_changes (revision, tenant, body) VALUES ($1, $2, $3)",
        revision,
        change.tenant,
        msgspec.structs.replace(change, revision=revision),
    )


async def changes(connection: Any, after: int, limit: int) -> list[tuple[int, str, Record]]:
    """Changes above the revision `after`, in order, for the outbox."""
    rows = await connection.fetch(
        """
        SELECT revision, tenant, body
        FROM invoicer.invoice_changes
        WHERE revision > $1
        ORDER BY revision
        LIMIT $2
        """,
        after,
        limit,
    )
    return [
        (
            row["revision"],
            row["tenant"],
            invoice_record(msgspec.convert(row["body"], InvoiceChange)),
        )
        for row in rows
    ]


async def find(connection: Any, id: UUID) -> Stored | None:
    """The invoice with that id."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM invoicer.invoices WHERE id = $1", id)
    return _stored(row) if row is not None else None


async def newest(
    connection: Any,
    *,
    tenant: str | None,
    state: str | None,
    charge: str | None,
    before: UUID | None,
    limit: int,
) -> list[Stored]:
    """Invoices, newest first, older than `before`; of a tenant, in a state, that have a line of
    a charge."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM invoicer.invoices
        WHERE ($1::text IS NULL OR tenant = $1)
          AND ($2::text IS NULL OR state = $2)
          AND ($3::text IS NULL OR id IN (
                  SELECT invoice FROM invoicer.invoice_lines WHERE charge = $3))
          AND ($4::uuid IS NULL OR id < $4)
        ORDER BY id DESC
        LIMIT $5
        """,
        tenant,
        state,
        charge,
        before,
        limit,
    )
    return [_stored(row) for row in rows]


async def of_run(connection: Any, run: UUID) -> list[UUID]:
    """The ids of the invoices that a run made, in the order it made them."""
    rows = await connection.fetch(
        "SELECT id FROM invoicer.invoices WHERE run = $1 ORDER BY id", run
    )
    return [row["id"] for row in rows]


def _stored(row: Any) -> Stored:
    return msgspec.convert(dict(row), Stored)
