"""`tollgate rerates`: a past time rated again. Seen first, then applied once or discarded."""

from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from tollgate import calls
from tollgate.cli.output import Json, console, print_fields, print_json, print_table
from tollgate.cli.times import Begin, End
from tollgate.client import Client
from tollgate.models import Page, Rerate, RerateLine

LINES_SHOWN: Final = 100
cli = typer.Typer(help="Rate a past time again: preview, approve.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The re-rating's id.")]
By = Annotated[str, typer.Option(help="Who; kept for ever.")]


@cli.command()
def preview(
    start: Begin,
    end: End,
    reason: Annotated[str, typer.Option(help="Why; kept for ever.")],
    by: By,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only this tenant; may be repeated.")
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(help="A plan with the right prices; without it, rated as things are."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(help="Of the plan; the newest when left out.")
    ] = None,
    replaces: Annotated[
        list[int] | None,
        typer.Option(help="A version that is wrong; may be repeated. All others when left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """What rating a past time again would change: every charge before and after. Nothing changes
    until it is approved."""
    if plan is None and (version is not None or replaces):
        raise typer.BadParameter("--version and --replaces are of a --plan")
    with Client(timeout_seconds=calls.rating.LONG_SECONDS) as client:
        correction = None if plan is None else _correction(client, plan, version, replaces)
        made = client.perform(
            calls.rating.preview_rerate(
                start, end, reason=reason, by=by, tenants=tenant or None, plan=correction
            )
        )
        _show(client, made, None, as_json)


@cli.command(name="list")
def list_rerates(as_json: Json = False) -> None:
    """All that were ever previewed, the newest first."""
    with Client() as client:
        found = list(client.each(calls.rating.rerates()))
    if as_json:
        print_json({"items": found})
        return
    columns = ["id", "state", "created", "by", "reason", "decided", "by"]
    print_table(
        "re-ratings",
        columns,
        [
            (r.id, r.state, r.created_at, r.created_by, r.reason, r.decided_at, r.decided_by)
            for r in found
        ],
    )


@cli.command()
def show(
    id: Id,
    tenant: Annotated[str | None, typer.Option(help="One tenant's charges only.")] = None,
    as_json: Json = False,
) -> None:
    """One re-rating, with every charge that it changes."""
    with Client() as client:
        _show(client, client.perform(calls.rating.rerate(id)), tenant, as_json)


@cli.command()
def approve(id: Id, by: By, as_json: Json = False) -> None:
    """Apply what was previewed, once. Refused (409 rerate_stale) where what was due has changed
    since."""
    with Client(timeout_seconds=calls.rating.LONG_SECONDS) as client:
        _decided(client.perform(calls.rating.approve_rerate(id, by=by)), as_json)


@cli.command()
def discard(id: Id, by: By, as_json: Json = False) -> None:
    """Decide against it."""
    with Client() as client:
        _decided(client.perform(calls.rating.discard_rerate(id, by=by)), as_json)


def _correction(
    client: Client, plan: str, version: int | None, replaces: list[int] | None
) -> dict[str, Any]:
    right = client.plan(plan).version if version is None else version
    return {"slug": plan, "version": right, "replaces": replaces or None}


def _show(client: Client, rerate: Rerate, tenant: str | None, as_json: bool) -> None:
    call = calls.rating.rerate_lines(rerate.id, tenant=tenant, limit=LINES_SHOWN)
    if as_json:
        print_json({"rerate": rerate, "lines": list(client.each(call))})
        return
    _print(rerate)
    page: Page[RerateLine] = client.perform(call)
    columns = ["tenant", "price", "from", "before", "after", "difference", "currency"]
    print_table("charges", columns, map(_row, page.items))
    if page.next is not None:
        console.print("and more (--json shows all)")


def _decided(rerate: Rerate, as_json: bool) -> None:
    if as_json:
        print_json(rerate)
    else:
        console.print(f"{rerate.id} is {rerate.state}, by {rerate.decided_by}", highlight=False)


def _print(rerate: Rerate) -> None:
    asked = rerate.request
    fields = {
        "state": rerate.state,
        "from": asked.get("from"),
        "to": asked.get("to"),
        "reason": rerate.reason,
        "created": rerate.created_at,
        "by": rerate.created_by,
        "decided": rerate.decided_at,
        "decided by": rerate.decided_by,
    }
    print_fields(f"re-rating {rerate.id}", fields.items())
    names = ["charges", "tenants", "up", "down", "difference"]
    totals = rerate.summary.get("totals", {})
    print_table(
        "totals, as invoices say them",
        ["currency", *names],
        [(currency, *(total[name] for name in names)) for currency, total in totals.items()],
    )


def _row(line: RerateLine) -> tuple[Any, ...]:
    before = None if line.before is None else line.before.amount
    difference = line.after.amount - (before or Decimal(0))
    after = line.after
    return line.tenant, after.price, after.start, before, after.amount, difference, after.currency
