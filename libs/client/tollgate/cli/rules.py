"""`tollgate rules`: list, show, put, delete."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tollgate import calls
from tollgate.cli.output import Json, console, print_fields, print_json, print_table
from tollgate.client import Client
from tollgate.models import Rule

cli = typer.Typer(help="Rules of throttling.", no_args_is_help=True)
Slug = Annotated[str, typer.Argument(help="The rule's slug.")]


@cli.command(name="list")
def list_rules(as_json: Json = False) -> None:
    """The rules in force."""
    with Client() as client:
        found = list(client.each(calls.throttler.rules()))
    if as_json:
        print_json({"items": found})
        return
    columns = ["rule", "version", "mode", "meter", "applies to", "limit", "window", "action"]
    print_table(
        "rules",
        columns,
        [
            (r.slug, r.version, r.mode, r.meter, r.applies_to, r.limit, r.window, r.action)
            for r in found
        ],
    )


@cli.command()
def show(slug: Slug, as_json: Json = False) -> None:
    """One rule."""
    with Client() as client:
        _shown(client.rule(slug), as_json)


@cli.command()
def put(
    slug: Slug,
    file: Annotated[Path, typer.Option("-f", "--file", help="YAML or JSON; - for stdin.")],
    as_json: Json = False,
) -> None:
    """Create a rule or change it; it takes effect at the edges by itself."""
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    body: Any = yaml.safe_load(text)
    with Client() as client:
        _shown(client.put_rule(slug, body), as_json)


@cli.command()
def delete(slug: Slug, as_json: Json = False) -> None:
    """Take a rule out of force."""
    with Client() as client:
        client.delete_rule(slug)
    if as_json:
        print_json({"slug": slug, "deleted": True})
    else:
        console.print(f"{slug} is deleted")


def _shown(rule: Rule, as_json: bool) -> None:
    if as_json:
        print_json(rule)
        return
    names = rule.__struct_fields__
    print_fields(f"rule {rule.slug}", [(name, getattr(rule, name)) for name in names])
