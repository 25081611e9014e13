"""`tollgate simulate`: what a draft of a plan would have earned, from whom."""

from pathlib import Path
from typing import Annotated

import typer

from tollgate import calls
from tollgate.catalog.files import BadCatalog, Item
from tollgate.cli.output import Json, print_json, print_table
from tollgate.cli.plan import From as Files
from tollgate.cli.plan import load
from tollgate.cli.times import Begin, End
from tollgate.client import Client
from tollgate.models import Simulation


def simulate(
    file: Files,
    start: Begin,
    end: End,
    plan: Annotated[
        str | None, typer.Option(help="Which plan of the files; needed where there are several.")
    ] = None,
    replaces: Annotated[
        str | None,
        typer.Option(help="Whose subscribers are looked at; the plan of the same name."),
    ] = None,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only this tenant; may be repeated.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the chart to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Rate a past time once more with the plan as the files say it, in place of all its versions:
    what each tenant paid, and would have. Nothing is changed."""
    draft = _draft(file, plan)
    call = calls.rating.simulate(
        replaces or draft.name, draft.body, start, end, tenants=tenant or None
    )
    with Client(timeout_seconds=calls.rating.LONG_SECONDS) as client:
        found = client.perform(call)
    if svg is not None:
        svg.write_text(found.chart, encoding="utf-8")
    if as_json:
        print_json(found)
    else:
        _print(found)


def _draft(file: Path, plan: str | None) -> Item:
    """The plan of the files that is asked for, or the only one."""
    found = [item for item in load(file)["plans"] if plan in (None, item.name)]
    if len(found) != 1:
        named = ", ".join(item.name for item in found) or "none"
        wanted = "one plan" if plan is None else f"plan {plan}"
        raise BadCatalog(f"{file}: looked for {wanted}, found {named}; --plan names one")
    return found[0]


def _print(found: Simulation) -> None:
    print_table(
        "tenants, the greatest loss first",
        ["tenant", "now", "then", "difference", "currency"],
        [(one.tenant, one.now, one.then, one.difference, one.currency) for one in found.tenants],
    )
    names = ["currency", "tenants", "now", "then", "difference", "winners", "losers"]
    print_table("totals", names, [[total[name] for name in names] for total in found.totals])
    if found.skipped:
        names = ["tenant", "subscription", "reason"]
        print_table(
            "skipped: the draft cannot be for them",
            names,
            [[one[name] for name in names] for one in found.skipped],
        )
