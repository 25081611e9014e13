"""`tollgate plan`: the catalog as code. What would change and whom it concerns, bringing it about,
and the catalog as files."""

import getpass
import re
import sys
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from tollgate import calls
from tollgate.catalog import bring
from tollgate.catalog.files import BadCatalog, Catalog, read_files, write, write_folder
from tollgate.catalog.review import Review, review
from tollgate.catalog.state import State, look
from tollgate.cli.output import Json, console, print_error, print_json, print_table
from tollgate.client import Client
from tollgate.errors import TollgateError

cli = typer.Typer(help="The catalog as code: meters, plans and rules.", no_args_is_help=True)
From = Annotated[
    Path, typer.Option("-f", "--file", help="A file, a folder of files, or - for standard input.")
]
By = Annotated[
    str,
    typer.Option(
        envvar="TOLLGATE_BY",
        help="Who publishes, kept with the revision; your user name on this machine if left out.",
    ),
]
REVISION = re.compile(r"[0-9]+(-[0-9a-f]+)?")


class NotApplicable(TollgateError):
    """The catalog as it is cannot be brought about; nothing was changed."""


class CatalogChanged(TollgateError):
    """The catalog is not what was reviewed; nothing was changed."""


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
        str | None,
        typer.Option(help="Only if the catalog is still as `diff` saw it: the revision it named."),
    ] = None,
    by: By = "",
    reason: Annotated[str, typer.Option(help="Kept with the revision.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for services to learn.")] = 30,
    as_json: Json = False,
) -> None:
    """Bring the catalog about. Everything is checked before anything is written: meters, then all
    plans in one revision, then rules. Twice is once; what a run that dies leaves is valid, and the
    next one goes on from there."""
    if revision is not None and not REVISION.fullmatch(revision):
        raise BadCatalog(
            f"{revision!r} is not a revision, such as 41-9f2c81d07a3b; `diff` tells it"
        )
    catalog = load(file)
    done: list[bring.Done] = []
    with Client() as client:
        made = review(client, catalog, look(client))
        require_possible(made)
        if made.differing:
            require_unchanged(made.state, revision)
            require_unchanged(look(client), made.state.revision)
        perform = bring.Patience(client, wait).perform
        at = made.state.plans_revision
        steps = chain(
            bring.meters(perform, catalog, made),
            bring.plans(perform, catalog, revision=at, reason=reason, by=by or user()),
            bring.rules(perform, catalog, made),
        )
        try:
            for step in steps:
                done.append(step)
        except TollgateError:
            for kind, name, result in done:
                if "unchanged" not in result:
                    print_error(f"  done before it failed: {kind} {name}: {result}")
            raise
    if as_json:
        print_json({"items": [{"kind": a, "name": b, "result": c} for a, b, c in done]})
    else:
        print_table("applied", ["kind", "name", "result"], done)


@cli.command()
def export(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder; standard output without it.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Remove what other .yaml files the folder holds."),
    ] = False,
) -> None:
    """The catalog as files. Applied, and exported again, they are the same bytes."""
    with Client() as client:
        catalog = look(client).catalog()
    if not any(catalog.values()):
        print_error("the catalog is empty: there is nothing to export")
        return
    if output is None:
        sys.stdout.write(write(catalog))
        return
    for path in write_folder(catalog, output, replace=replace):
        console.print(str(path))


@cli.command()
def schema() -> None:
    """The JSON Schema of a plan, for editors."""
    with Client() as client:
        print_json(client.perform(calls.rating.plan_schema()))


def load(file: Path) -> Catalog:
    """The catalog in a file or folder; tenants and subscriptions do not belong to it."""
    catalog = read_files(file)
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
        found = len(made.problems)
        raise NotApplicable(f"{found} problem{'s' if found > 1 else ''}; nothing was changed")


def require_unchanged(state: State, revision: str | None) -> None:
    """Raise `CatalogChanged` where the catalog is not at `revision` (None: any)."""
    if revision is not None and not state.is_at(revision):
        raise CatalogChanged(
            f"catalog_changed: the catalog is at {state.revision}, not at {revision}; nothing was"
            " changed"
        )


def user() -> str:
    """Who runs the command, as the machine knows them; empty where it does not."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _show(made: Review) -> None:
    for one in made.differing:
        console.print(f"[bold]{one.kind[:-1]} {one.name}[/bold]: {one.change}", highlight=False)
        sys.stdout.write(one.difference())
        for sentence in one.affected:
            console.print(f"  {sentence}", highlight=False)
    same = len(made.changes) - len(made.differing)
    console.print(
        f"revision {made.state.revision}: {len(made.differing)} would change,"
        f" {same} stay as they are, {len(made.only_there)} are not in these files",
        highlight=False,
    )


def _document(made: Review) -> dict[str, Any]:
    return {
        "revision": made.state.revision,
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
