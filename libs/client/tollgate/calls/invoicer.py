"""Calls to the invoicer: invoices, billing runs and wallets."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from tollgate.call import Call, get, segment, send
from tollgate.models import Invoice, Page, Run, WalletEntry, Wallets


def invoices(
    *, tenant: str | None = None, state: str | None = None, limit: int | None = None
) -> Call[Page[Invoice]]:
    """Invoices."""
    return get("invoicer", "/v1/invoices", Page[Invoice], tenant=tenant, state=state, limit=limit)


def invoice(id: str) -> Call[dict[str, Any]]:
    """One invoice with all its fields."""
    return get("invoicer", f"/v1/invoices/{segment(id)}", dict[str, Any])


def invoice_pdf(id: str) -> Call[bytes]:
    """One invoice as PDF."""
    return get("invoicer", f"/v1/invoices/{segment(id)}.pdf", bytes)


def interim_invoice(tenant: str) -> Call[dict[str, Any]]:
    """What would be invoiced if the period ended now; nothing is stored."""
    return get("invoicer", "/v1/invoices/interim", dict[str, Any], tenant=tenant)


def start_run(through: datetime) -> Call[Run]:
    """Close and invoice every period that ended by `through`."""
    return send("invoicer", "POST", "/v1/runs", Run, {"through": through}, once=True)


def run(id: str) -> Call[Run]:
    """How far a billing run is."""
    return get("invoicer", f"/v1/runs/{segment(id)}", Run)


def wallets(tenant: str) -> Call[Wallets]:
    """What the tenant's wallets hold."""
    return get("invoicer", f"/v1/wallets/{segment(tenant)}", Wallets)


def wallet_entries(
    tenant: str, currency: str, *, limit: int | None = None
) -> Call[Page[WalletEntry]]:
    """How a wallet came to what it holds, newest first."""
    return get("invoicer", _entries(tenant, currency), Page[WalletEntry], limit=limit)


def move_money(
    tenant: str, currency: str, amount: Decimal, *, reference: str, reason: str = "", by: str = ""
) -> Call[WalletEntry]:
    """Into the wallet above 0, out of it below."""
    body = {"amount": amount, "reference": reference, "reason": reason, "by": by}
    return send("invoicer", "POST", _entries(tenant, currency), WalletEntry, body, once=True)


def _entries(tenant: str, currency: str) -> str:
    return f"/v1/wallets/{segment(tenant)}/{segment(currency)}/entries"
