"""`tollgate invoices`: list, show, pdf."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tollgate import calls
from tollgate.cli.output import Json, console, print_fields, print_json, print_table
from tollgate.client import Client

cli = typer.Typer(help="Invoices.", no_args_is_help=True)
ABOVE_TAXES = ("number", "tenant", "state", "currency", "period_from", "period_to", "subtotal")
BELOW_TAXES = ("total", "paid_from_wallet", "payable", "hash")


@cli.command(name="list")
def list_invoices(
    tenant: Annotated[str | None, typer.Option(help="One tenant only.")] = None,
    state: Annotated[str | None, typer.Option(help="draft, finalised, paid or void.")] = None,
    as_json: Json = False,
) -> None:
    """Invoices, newest first."""
    with Client() as client:
        found = list(client.each(calls.invoicer.invoices(tenant=tenant, state=state)))
    if as_json:
        print_json({"items": found})
        return
    columns = ["number", "tenant", "state", "total", "payable", "currency", "from", "to", "id"]
    print_table(
        "invoices",
        columns,
        [
            (
                one.number,
                one.tenant,
                one.state,
                one.total,
                one.total if one.payable is None else one.payable,
                one.currency,
                one.period_from,
                one.period_to,
                one.id,
            )
            for one in found
        ],
    )


@cli.command()
def show(
    id: Annotated[str, typer.Argument(help="The invoice's id.")], as_json: Json = False
) -> None:
    """One invoice with its lines."""
    with Client() as client:
        invoice = client.invoice(id)
    if as_json:
        print_json(invoice)
        return
    fields = [(name, invoice.get(name)) for name in ABOVE_TAXES]
    fields += [(tax["name"], _tax(tax)) for tax in invoice.get("taxes", [])]
    fields += [(name, invoice.get(name)) for name in BELOW_TAXES]
    print_fields(f"invoice {id}", fields)
    columns = ("description", "quantity", "unit", "amount", "period_from", "period_to")
    rows = [[line.get(name) for name in columns] for line in invoice.get("lines", [])]
    print_table("", columns, rows)


@cli.command()
def pdf(
    id: Annotated[str, typer.Argument(help="The invoice's id.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to.")] = None,
    as_json: Json = False,
) -> None:
    """Download an invoice as PDF."""
    with Client() as client:
        content = client.invoice_pdf(id)
    path = output or Path(f"invoice-{id}.pdf")
    path.write_bytes(content)
    if as_json:
        print_json({"path": str(path), "bytes": len(content)})
    else:
        console.print(f"{path} ({len(content)} bytes)", highlight=False)


def _tax(tax: dict[str, Any]) -> str:
    return f"{tax['amount']} ({tax['percent']} % of {tax['basis']})"
