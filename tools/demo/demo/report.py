"""What the demo prints at the end."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.table import Table

from demo.progress import console, heading
from demo.reconcile import Row


def usage(metered: Mapping[tuple[str, str], Decimal], units: Mapping[str, str]) -> None:
    """Usage by tenant and meter."""
    heading("Usage, as the aggregator has it")
    table = Table("tenant", "meter", "usage", "unit", box=None)
    for (tenant, meter), value in sorted(metered.items()):
        table.add_row(tenant, meter, f"{value:f}", units[meter])
    console.print(table)


def decisions(tenant: str, entries: list[dict[str, Any]]) -> None:
    """The decision log of a tenant."""
    heading(f"Decision log of {tenant}")
    table = Table("revision", "decided", "state", "rule", "usage", "limit", "stale by", box=None)
    for entry in entries:
        stale = ""
        if entry.get("as_of"):
            age = datetime.fromisoformat(entry["decided_at"]) - datetime.fromisoformat(
                entry["as_of"]
            )
            stale = f"{age.total_seconds():.2f} s"
        table.add_row(
            *(str(entry["revision"]), entry["decided_at"][11:23], entry["state"]),
            *(str(entry.get("rule") or ""), str(entry.get("usage") or "")),
            *(str(entry.get("limit") or ""), stale),
        )
    console.print(table)


def invoices(found: list[dict[str, Any]]) -> None:
    """The invoices with their lines and totals."""
    heading("Invoices")
    table = Table("invoice", "tenant", "line", "quantity", "amount", box=None)
    for invoice in found:
        for index, line in enumerate(invoice["lines"]):
            table.add_row(
                invoice["number"] if index == 0 else "",
                invoice["tenant"] if index == 0 else "",
                line["description"],
                "" if line.get("quantity") is None else str(line["quantity"]),
                f"{line['amount']} {invoice['currency']}",
            )
        for tax in invoice["taxes"]:
            what = f"{tax['name']} {tax['percent']} % of {tax['basis']}"
            table.add_row("", "", what, "", f"{tax['amount']} {invoice['currency']}")
        table.add_row("", "", "[bold]total[/bold]", "", f"[bold]{invoice['total']}[/bold]")
    console.print(table)


def reconciliation(quantities: list[Row], amounts: list[Row]) -> int:
    """Both tables; returns how many rows differ."""
    heading("Reconciliation: units, counted in the gate's log and by Tollgate")
    table = Table("tenant", "meter", "in the log", "metered", "invoiced", "", box=None)
    for row in quantities:
        table.add_row(
            *(row.tenant, row.what, f"{row.truth:f}", _figure(row.metered)),
            *(_figure(row.invoiced), _mark(row)),
        )
    console.print(table)
    heading("Reconciliation: money, computed from the log and by Tollgate")
    table = Table("tenant", "line", "from the log", "invoiced", "", box=None)
    for row in amounts:
        table.add_row(row.tenant, row.what, f"{row.truth:f}", _figure(row.invoiced), _mark(row))
    console.print(table)
    return sum(not row.agrees for row in quantities + amounts)


def _figure(value: Decimal | None) -> str:
    return "[dim]not priced[/dim]" if value is None else f"{value:f}"


def _mark(row: Row) -> str:
    return "[green]equal[/green]" if row.agrees else "[bold red]DIFFERENT[/bold red]"
