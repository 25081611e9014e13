"""`tollgate wallets`: show, top-up, pay-out."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from tollgate import calls
from tollgate.cli.output import Json, console, print_json, print_table
from tollgate.client import Client
from tollgate.models import WalletEntry

cli = typer.Typer(help="Money that tenants paid in advance.", no_args_is_help=True)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise typer.BadParameter("must be a number above 0, such as 50.00")
    return amount


Tenant = Annotated[str, typer.Argument(help="The tenant's key.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217, such as EUR.")]
Amount = Annotated[Decimal, typer.Argument(parser=_amount, metavar="AMOUNT")]
Reference = Annotated[str, typer.Option(help="Of the payment, such as a bank's number.")]
Reason = Annotated[str, typer.Option(help="Kept with the entry.")]
By = Annotated[str, typer.Option(help="Who does it; kept with the entry.")]


@cli.command()
def show(tenant: Tenant, as_json: Json = False) -> None:
    """What the tenant's wallets hold, and how they came to it, newest first."""
    with Client() as client:
        held = client.perform(calls.invoicer.wallets(tenant)).items
        entries = [
            entry
            for wallet in held
            for entry in client.each(calls.invoicer.wallet_entries(tenant, wallet.currency))
        ]
    if as_json:
        print_json({"wallets": held, "entries": entries})
        return
    print_table("wallets", ["currency", "balance"], [(one.currency, one.balance) for one in held])
    columns = ["currency", "number", "at", "kind", "amount", "balance", "reference", "reason", "by"]
    rows = [
        (e.currency, e.number, e.at, e.kind, e.amount, e.balance, e.reference, e.reason, e.by)
        for e in entries
    ]
    if rows:
        print_table("entries", columns, rows)


@cli.command(name="top-up")
def top_up(
    tenant: Tenant,
    currency: Currency,
    amount: Amount,
    reference: Reference,
    reason: Reason = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Money that the tenant paid: it pays the next invoices in the currency."""
    _move(tenant, currency, amount, reference, reason, by, as_json)


@cli.command(name="pay-out")
def pay_out(
    tenant: Tenant,
    currency: Currency,
    amount: Amount,
    reference: Reference,
    reason: Reason = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Money that the tenant gets back."""
    _move(tenant, currency, -amount, reference, reason, by, as_json)


def _move(
    tenant: str,
    currency: str,
    amount: Decimal,
    reference: str,
    reason: str,
    by: str,
    as_json: bool,
) -> None:
    with Client() as client:
        made: WalletEntry = client.perform(
            calls.invoicer.move_money(
                tenant, currency, amount, reference=reference, reason=reason, by=by
            )
        )
    if as_json:
        print_json(made)
    else:
        console.print(f"{made.kind} of {made.amount}: the wallet holds {made.balance} {currency}")
