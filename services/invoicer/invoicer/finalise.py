"""From draft to finalised: one transaction a tenant, in which everything happens or nothing."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from common.contracts.invoices import InvoiceChange
from common.contracts.tenants import Tenant
from common.ids import uuid7
from common.money import WIDE
from common.telemetry import span
from invoicer import numbering
from invoicer.invoice import Invoice, Invoiced, Line, Seller, draft
from invoicer.numbering import Finalised
from invoicer.store import charges, invoices, runs, wallets
from invoicer.store.runs import Run
from invoicer.store.wallets import Entry

_ZERO: Final = Decimal(0)


async def finalise_tenant(
    connection: Any,
    run: Run,
    *,
    tenant: Tenant,
    currency: str,
    seller: Seller,
    series: str,
    now: datetime,
    lease_seconds: float,
) -> Finalised | None:
    """Invoice what `tenant` owes in `currency` through `run.through`; None when there is nothing
    worth an invoice.

    The order of locks is: run, charges by id, wallet, series. The number is taken last, so the
    series is held as briefly as can be. Raises `LostLease` when another runner drives the run, and
    `DraftError` when the charges cannot become an invoice; either way nothing was written.
    """
    async with connection.transaction():
        await runs.hold(connection, run, lease_seconds)
        due = await charges.lock_due(connection, tenant.key, currency, run.through)
        drafted = draft(
            [one.charge for one in due],
            {one.charge.id: one.invoiced for one in due if one.invoiced is not None},
            tenant=tenant,
            seller=seller,
            currency=currency,
            missing=run.missing,
            balance=await wallets.lock(connection, tenant.key, currency),
        )
        if not drafted.is_worth_issuing:
            return None
        traceparents = {one.charge.id: one.traceparent for one in due}
        links = [link for link in traceparents.values() if link is not None]
        with span("invoice.finalise", parent=run.traceparent, links=links):
            id = uuid7()
            await invoices.insert_lines(connection, id, drafted.lines, traceparents)
            # What yields no line (nothing changed, or withdrawn before it was ever invoiced) is
            # settled with the rest, so that it is not looked at for ever.
            lines = {line.charge: line for line in drafted.lines}
            settled = [
                (
                    one.charge.id,
                    _invoiced(one.charge.version, one.invoiced, lines.get(one.charge.id)),
                )
                for one in due
            ]
            await charges.mark_invoiced(connection, settled)
            place = await invoices.next_place(connection, seller.key, series)
            finalised = numbering.finalise(drafted, place, id=str(id), issued_at=_milliseconds(now))
            await invoices.insert(connection, run.id, finalised)
            if finalised.invoice.paid_from_wallet:
                await wallets.record(connection, _payment(finalised.invoice, now))
            await invoices.extend_chain(connection, seller.key, series, finalised.hash)
            await invoices.record_change(connection, change_of(finalised))
    return finalised


def change_of(finalised: Finalised) -> InvoiceChange:
    """What billing.invoices says about a newly finalised invoice."""
    invoice = finalised.invoice
    assert invoice.id is not None
    assert invoice.issued_at is not None
    assert invoice.period_from is not None
    assert invoice.period_to is not None
    return InvoiceChange(
        tenant=invoice.tenant,
        invoice=invoice.id,
        number=invoice.number,
        state="finalised",
        currency=invoice.currency,
        total=invoice.total,
        payable=invoice.payable,
        period_from=invoice.period_from,
        period_to=invoice.period_to,
        at=invoice.issued_at,
    )


def _payment(invoice: Invoice, now: datetime) -> Entry:
    """What the invoice takes out of the tenant's wallet."""
    assert invoice.id is not None
    return Entry(
        tenant=invoice.tenant,
        currency=invoice.currency,
        kind="invoice",
        amount=invoice.paid_from_wallet.copy_negate(),
        invoice=UUID(invoice.id),
        reference=invoice.number or "",
        at=now,
    )


def _invoiced(version: int, before: Invoiced | None, line: Line | None) -> Invoiced:
    """What invoices hold of a charge, after `line` was added to what they held before."""
    held = before or Invoiced(version=version, quantity=_ZERO, amount=_ZERO, taxes=None)
    if line is None:
        return msgspec.structs.replace(held, version=version)
    return Invoiced(
        version=version,
        quantity=WIDE.add(held.quantity, line.quantity),
        amount=WIDE.add(held.amount, line.amount),
        taxes=line.taxes,
    )


def _milliseconds(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
