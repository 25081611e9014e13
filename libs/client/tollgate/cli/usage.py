"""`tollgate usage`: what was used."""

from typing import Annotated

import typer

from tollgate.calls.aggregator import usage as usage_call
from tollgate.cli.output import Json, print_json, print_table, text
from tollgate.cli.times import From, To
from tollgate.client import Client


def usage(
    meter: Annotated[str, typer.Argument(help="The meter's slug.")],
    tenant: Annotated[str | None, typer.Option(help="One tenant only.")] = None,
    start: From = None,
    end: To = None,
    window: Annotated[str, typer.Option(help="minute, hour, day, month or none.")] = "none",
    group_by: Annotated[list[str] | None, typer.Option(help="Group by this dimension.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of days and months.")] = None,
    as_json: Json = False,
) -> None:
    """Usage of a meter by tenant, window and group."""
    call = usage_call(
        meter,
        tenant=tenant,
        start=start,
        end=end,
        window=window,  # type: ignore[arg-type]
        group_by=group_by,
        timezone=timezone,
    )
    with Client() as client:
        page = client.perform(call)
        items = list(page.items)
        if page.next is not None:
            items += client.each(call.after(page.next))
    if as_json:
        print_json({"meter": page.meter, "unit": page.unit, "as_of": page.as_of, "items": items})
        return
    print_table(
        f"{page.meter or meter} in {page.unit or 'units'}, as of {text(page.as_of)}",
        ["tenant", "from", "to", "group", "value"],
        [(one.tenant, one.start, one.end, one.group or None, one.value) for one in items],
    )
