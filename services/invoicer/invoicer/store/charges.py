"""Charges: the latest version of each, and what has been invoiced of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.charges import Charge
from common.contracts.tenants import Tax
from invoicer.invoice import Invoiced

_encoder = msgspec.json.Encoder(decimal_format="string")


class Pending(msgspec.Struct, frozen=True):
    """A charge that is not invoiced in its latest version. `invoiced`: in which it is, if any."""

    charge: Charge
    invoiced: Invoiced | None
    traceparent: str | None


async def upsert(tx: Any, charges: Sequence[tuple[Charge, str | None]]) -> int:
    """Keep the higher version of each charge (with the traceparent it came with); returns how
    many rows changed. Invoiced amounts stay as they are."""
    newest: dict[str, tuple[Charge, str | None]] = {}
    for charge, traceparent in charges:
        known = newest.get(charge.id)
        if known is None or charge.version >= known[0].version:
            newest[charge.id] = (charge, traceparent)
    if not newest:
        return 0
    rows = [newest[id] for id in sorted(newest)]  # one order of locks for all writers
    status: str = await tx.execute(
        """
        INSERT INTO invoicer.charges AS known
            (id, tenant, currency, period_from, period_to, due_at, closed, version, body,
             traceparent)
        SELECT *
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                    $6::timestamptz[], $7::boolean[], $8::bigint[], $9::jsonb[], $10::text[])
        ON CONFLICT (id) DO UPDATE
        SET tenant = excluded.tenant,
            currency = excluded.currency,
            period_from = excluded.period_from,
            period_to = excluded.period_to,
            due_at = excluded.due_at,
            closed = excluded.closed,
            version = excluded.version,
            body = excluded.body,
            traceparent = coalesce(excluded.traceparent, known.traceparent)
        WHERE excluded.version > known.version
           OR (excluded.version = known.version AND excluded.closed AND NOT known.closed)
        """,
        [charge.id for charge, _ in rows],
        [charge.tenant for charge, _ in rows],
        [charge.currency for charge, _ in rows],
        [charge.period_from for charge, _ in rows],
        [charge.period_to for charge, _ in rows],
        [charge.due for charge, _ in rows],
        [charge.closed for charge, _ in rows],
        [charge.version for charge, _ in rows],
        [charge for charge, _ in rows],
        [traceparent for _, traceparent in rows],
    )
    return int(status.rsplit(" ", 1)[-1])


async def pending(
    connection: Any, tenant: str, currency: str, through: datetime | None = None
) -> list[Pending]:
    """The tenant's charges that are not invoiced in their latest version, also open ones;
    with `through`, those that are due by then."""
    rows = await connection.fetch(
        f"{_PENDING} AND ($3::timestamptz IS NULL OR due_at <= $3) ORDER BY id",
        tenant,
        currency,
        through,
    )
    return [_pending(row) for row in rows]


async def lock_due(tx: Any, tenant: str, currency: str, through: datetime) -> list[Pending]:
    """The closed charges that are due by `through` (when their period ends, or begins for what
    is paid in advance) and not invoiced in their latest version. Locked until the transaction
    ends, so a later version waits for the invoice."""
    rows = await tx.fetch(
        f"{_PENDING} AND closed AND due_at <= $3 ORDER BY id FOR UPDATE",
        tenant,
        currency,
        through,
    )
    return [_pending(row) for row in rows]


async def due_tenants(connection: Any, run: Any, through: datetime) -> list[tuple[str, str]]:
    """(tenant, currency) that have something due by `through` and no invoice in `run` yet."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT tenant, currency
        FROM invoicer.charges
        WHERE (invoiced_version IS NULL OR version > invoiced_version)
          AND closed
          AND due_at <= $2
          AND NOT EXISTS (
              SELECT
              FROM invoicer.invoices
              WHERE invoices.run = $1
                AND invoices.tenant = charges.tenant
                AND invoices.currency = charges.currency
          )
        ORDER BY tenant, currency
        """,
        run,
        through,
    )
    return [(row["tenant"], row["currency"]) for row in rows]


async def mark_invoiced(tx: Any, rows: Sequence[tuple[str, Invoiced]]) -> None:
    """Write down what finalised invoices now hold of each charge, the one being made included."""
    await tx.execute(
        """
        UPDATE invoicer.charges
        SET invoiced_version = marked.version,
            invoiced_quantity = marked.quantity,
            invoiced_amount = marked.amount,
            invoiced_taxes = marked.taxes::jsonb
        FROM unnest($1::text[], $2::bigint[], $3::numeric[], $4::numeric[], $5::text[])
            AS marked (id, version, quantity, amount, taxes)
        WHERE charges.id = marked.id
        """,
        [id for id, _ in rows],
        [now.version for _, now in rows],
        [now.quantity for _, now in rows],
        [now.amount for _, now in rows],
        # As texts: a list of lists would be taken for an array of two dimensions.
        [None if now.taxes is None else _encode(now.taxes) for _, now in rows],
    )


def _encode(taxes: list[Tax]) -> str:
    return _encoder.encode(taxes).decode()


_PENDING = """
    SELECT body, traceparent, invoiced_version, invoiced_quantity, invoiced_amount, invoiced_taxes
    FROM invoicer.charges
    WHERE (invoiced_version IS NULL OR version > invoiced_version)
      AND tenant = $1
      AND currency = $2
"""


def _pending(row: Any) -> Pending:
    invoiced = None
    if row["invoiced_version"] is not None:
        invoiced = Invoiced(
            version=row["invoiced_version"],
            quantity=row["invoiced_quantity"],
            amount=row["invoiced_amount"],
            taxes=msgspec.convert(row["invoiced_taxes"], list[Tax] | None),
        )
    charge = msgspec.convert(row["body"], Charge)
    return Pending(charge, invoiced, row["traceparent"])
