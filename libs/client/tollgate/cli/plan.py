"""`tollgate plan`: the catalog as code. What would change and whom it concerns, all of it or
nothing, and the catalog as files."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tollgate import calls
from tollgate.catalog import bring
from tollgate.catalog.files import BadCatalog, Catalog, merge, read, read_files, write, write_folder
from tollgate.catalog.review import Review, review
from tollgate.catalog.state import look
from tollgate.cli.output import Json, console, print_error, print_json, print_table
from tollgate.client import Client
from tollgate.errors import TollgateError

cli = typer.Typer(help="The catalog as code: meters, plans and rules.", no_args_is_help=True)
From = Annotated[
    Path, typer.Option("-f", "--file", help="A file, a folder of files, or - for standard input.")
]


class NotApplicable(TollgateError):
    """The catalog as it is cannot be brought about; nothing was changed."""


@cli.command()
def diff(file: From, as_json: Json = False) -> None:
    """What applying the catalog would change, and whom that concerns. Nothing is changed; the
    exit code is 1 where it could not be applied."""
    with Client() as client:
        made = review(client, load(file), look(client))
    if as_json:
        print_json(_document(made))
    else:
        _show(made)
    require_possible(made)


@cli.command()
def apply(
    file: From,
    revision: Annotated[
        int | None, typer.Option(help="Only if the catalog is still at this revision.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept with the revision.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for services to learn.")] = 30,
    as_json: Json = False,
) -> None:
    """Bring the catalog about: all of it, or nothing. Everything is checked first; plans are
    published together in one revision. Twice is once."""
    catalog = load(file)
    with Client() as client:
        made = review(client, catalog, look(client))
        require_possible(made)
        perform = bring.Patience(client, wait).perform
        expected = made.revision if revision is None else revision
        done = [
            *bring.meters(perform, catalog),
            *bring.plans(perform, catalog, revision=expected, reason=reason),
            *bring.rules(perform, catalog),
        ]
    if as_json:
        print_json({"items": [{"kind": a, "name": b, "result": c} for a, b, c in done]})
    else:
        print_table("applied", ["kind", "name", "result"], done)


@cli.command()
def export(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder; standard output without it.")
    ] = None,
) -> None:
    """The catalog as files. Applied, and exported again, they are the same bytes."""
    with Client() as client:
        catalog = look(client).catalog()
    if output is None:
        sys.stdout.write(write(catalog))
        return
    for path in write_folder(catalog, output):
        console.print(str(path))


@cli.command()
def schema() -> None:
    """The JSON Schema of a plan, for editors."""
    with Client() as client:
        print_json(client.perform(calls.rating.plan_schema()))


def load(file: Path) -> Catalog:
    """The catalog in a file or folder; tenants and subscriptions do not belong to it."""
    catalog = merge([read(sys.stdin.read())]) if str(file) == "-" else read_files(file)
    for kind in ("tenants", "subscriptions"):
        if catalog[kind]:
            where = catalog[kind][0].where
            raise BadCatalog(f"{where}: {kind} are no part of the catalog; use `tollgate apply`")
    return catalog


def require_possible(made: Review) -> None:
    """Raise `NotApplicable` where something cannot be, after saying what."""
    if made.problems:
        for where, what in made.problems:
            print_error(f"  {where}: {what}")
        raise NotApplicable(f"{len(made.problems)} problems; nothing was changed")


def _show(made: Review) -> None:
    for one in made.differing:
        console.print(f"[bold]{one.kind[:-1]} {one.name}[/bold]: {one.change}", highlight=False)
        sys.stdout.write(one.difference())
        for sentence in one.affected:
            console.print(f"  {sentence}", highlight=False)
    same = len(made.changes) - len(made.differing)
    console.print(
        f"revision {made.revision}: {len(made.differing)} would change, {same} stay as they are,"
        f" {len(made.only_there)} are not in these files",
        highlight=False,
    )


def _document(made: Review) -> dict[str, Any]:
    return {
        "revision": made.revision,
        "changes": [
            {
                "kind": one.kind[:-1],
                "name": one.name,
                "change": one.change,
                "before": one.before,
                "after": one.after,
                "affected": one.affected,
            }
            for one in made.differing
        ],
        "problems": [{"where": where, "message": what} for where, what in made.problems],
        "only_there": [{"kind": kind[:-1], "name": name} for kind, name in made.only_there],
    }
