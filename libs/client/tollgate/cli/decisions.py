"""`tollgate decisions`: list, show, log."""

from typing import Annotated

import typer

from tollgate import calls
from tollgate.cli.output import Json, print_fields, print_json, print_table
from tollgate.client import Client

cli = typer.Typer(help="Who may go on, and why.", no_args_is_help=True)
Tenant = Annotated[str, typer.Argument(help="The tenant's key.")]


@cli.command(name="list")
def list_decisions(
    since: Annotated[int | None, typer.Option(help="Only after this revision.")] = None,
    as_json: Json = False,
) -> None:
    """Current decisions."""
    with Client() as client:
        page = client.decisions(since)
    if as_json:
        print_json(page)
        return
    columns = ["tenant", "state", "status", "rule", "usage", "limit", "until", "revision"]
    print_table(
        f"decisions at revision {page.revision}",
        columns,
        [
            (d.tenant, d.state, d.status, d.rule, d.usage, d.limit, d.window_end, d.revision)
            for d in page.items
        ],
    )


@cli.command()
def show(tenant: Tenant, as_json: Json = False) -> None:
    """A tenant's decision, with each rule against the usage of this moment."""
    with Client() as client:
        found = client.decision(tenant)
    if as_json:
        print_json(found)
        return
    names = ("state", "status", "reason", "rule", "rule_version", "usage", "limit", "window_end")
    more = ("as_of", "decided_at", "revision", "known")
    print_fields(f"tenant {tenant}", [(name, getattr(found, name)) for name in names + more])
    columns = ("rule", "mode", "state", "usage", "limit", "remaining", "window", "window_end")
    print_table("rules now", columns, [[one.get(name) for name in columns] for one in found.rules])


@cli.command()
def log(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(help="How many entries.")] = 50,
    as_json: Json = False,
) -> None:
    """Every decision about a tenant, newest first."""
    with Client() as client:
        page = client.perform(calls.throttler.decision_log(tenant, limit=limit))
    if as_json:
        print_json(page)
        return
    columns = ("revision", "decided_at", "state", "rule", "usage", "limit", "as_of", "reason")
    print_table(
        f"decisions about {tenant}",
        columns,
        [[one.get(name) for name in columns] for one in page.items],
    )
