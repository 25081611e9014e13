"""How the command speaks: tables for people, JSON for programs, errors to standard error."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# Into a pipe or a file nothing is wrapped: one row is one line there.
console = Console(width=None if sys.stdout.isatty() else 400)
_encoder = msgspec.json.Encoder(decimal_format="string")


def print_json(value: Any) -> None:
    """One JSON document; decimals as strings."""
    sys.stdout.write(msgspec.json.format(_encoder.encode(value), indent=2).decode() + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; says so when there is nothing."""
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    console.print(table)
    if not table.row_count:
        console.print("nothing")


def print_fields(title: str, fields: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one a line; without those that have none."""
    console.print(f"[bold]{title}[/bold]")
    for name, value in fields:
        if value is not None:
            console.print(f"  {name:<14} {text(value)}", highlight=False)


def print_error(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(message.rstrip() + "\n")


def text(value: Any) -> str:
    """A cell: times in UTC to the second, decimals without an exponent, nothing as -."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return ", ".join(f"{name}={text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(text(one) for one in value)
    return str(value)
