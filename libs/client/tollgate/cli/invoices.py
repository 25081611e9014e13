"""`tollgate invoices`: list, show, pdf."""

from pathlib import Path
from typing import Annotated

import typer

from tollgate import calls
from tollgate.cli.output import Json, console, print_fields, print_json, print_table
from tollgate.client import Client

cli = typer.Typer(help="Invoices.", no_args_is_help=True)


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
    columns = ["number", "tenant", "state", "total", "currency", "from", "to", "id"]
    print_table(
        "invoices",
        columns,
        [
            (i.number, i.tenant, i.state, i.total, i.currency, i.period_from, i.period_to, i.id)
            for i in found
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
    names = ("number", "tenant", "state", "currency", "period_from", "period_to", "total", "hash")
    print_fields(f"invoice {id}", [(name, invoice.get(name)) for name in names])
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
