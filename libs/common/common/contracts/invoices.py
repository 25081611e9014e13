"""billing.invoices: what became of each invoice, in order."""

from datetime import datetime
from decimal import Decimal

from common.bus.types import Record
from common.contracts import wire


class InvoiceChange(wire.Contract, frozen=True, kw_only=True):
    """An invoice reached `state` (draft, finalised, paid, void) at `at`. `total`, with taxes, is
    rounded; `payable` is what of it the tenant's wallet did not pay (None: all of it)."""

    tenant: str
    invoice: str
    number: str | None = None
    state: str
    currency: str
    total: Decimal
    payable: Decimal | None = None
    period_from: datetime
    period_to: datetime
    at: datetime
    revision: int = 0


def invoice_record(change: InvoiceChange) -> Record:
    """The record of a change, under the tenant."""
    return wire.record(change.tenant, change)
