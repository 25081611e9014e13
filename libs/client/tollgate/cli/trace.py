"""`tollgate trace SOURCE ID`: one event's way to the invoice, from what the services stored."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.tree import Tree

from tollgate import calls
from tollgate.cli.output import Json, console, print_json, text
from tollgate.client import Client
from tollgate.errors import NotFound, TollgateError
from tollgate.models import Charge, EventState

HOUR = timedelta(hours=1)


def trace(
    source: Annotated[str, typer.Argument(help="The event's source.")],
    id: Annotated[str, typer.Argument(help="The event's id.")],
    as_json: Json = False,
) -> None:
    """Received where and when, counted in which hour, in which charge, on which invoice."""
    with Client() as client:
        found = follow(client, source, id)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["event"].state == "unknown":
        raise typer.Exit(1)


def follow(client: Client, source: str, id: str) -> dict[str, Any]:
    """{"event", "counted": [{"meter", "unit", "hour", "value", "charges": [{"charge",
    "invoices"}]}]}. The value is that of the tenant's whole hour, which the event is a part of."""
    event = client.event_state(source, id)
    counted = []
    if event.state in ("counted", "duplicate_conflict") and event.tenant and event.hour:
        counted = list(_counted(client, event))
    return {"event": event, "counted": counted}


def _counted(client: Client, event: EventState) -> Iterator[dict[str, Any]]:
    assert event.tenant is not None
    assert event.hour is not None
    tenant, hour = event.tenant, event.hour
    charges = [
        one
        for one in client.each(calls.rating.charges(tenant=tenant, start=hour, end=hour + HOUR))
        if _covers(one, event)
    ]
    lines = list(_lines(client, tenant)) if charges else []
    for meter in client.each(calls.aggregator.meters()):
        if meter.event_type != event.type:
            continue
        usage = client.usage(
            meter.slug, tenant=tenant, start=hour, end=hour + HOUR, window="hour"
        ).items
        yield {
            "meter": meter.slug,
            "unit": meter.unit,
            "hour": hour,
            "value": usage[0].value if usage else None,
            "charges": [
                {
                    "charge": charge,
                    "invoices": [line for line in lines if line["charge"] == charge.id],
                }
                for charge in charges
                if charge.meter == meter.slug
            ],
        }


def _covers(charge: Charge, event: EventState) -> bool:
    moment = event.time or event.hour
    if moment is None or charge.start is None or charge.end is None:
        return False
    return charge.start <= moment < charge.end


def _lines(client: Client, tenant: str) -> Iterator[dict[str, Any]]:
    """The lines of the tenant's invoices, each with its charge's id and its invoice."""
    try:
        invoices = list(client.each(calls.invoicer.invoices(tenant=tenant)))
    except (NotFound, TollgateError):
        return
    for invoice in invoices:
        for line in invoice.lines:
            yield {
                "charge": line.get("charge"),
                "invoice": invoice.id,
                "number": invoice.number,
                "state": invoice.state,
                "description": line.get("description"),
                "quantity": line.get("quantity"),
                "amount": line.get("amount"),
                "currency": invoice.currency,
            }


def _print(found: dict[str, Any]) -> None:
    event: EventState = found["event"]
    tree = Tree(f"event {event.source} {event.id}: [bold]{event.state}[/bold]", highlight=False)
    if event.received_at or event.origin:
        place = f" in usage.received ({text(event.origin)})" if event.origin else ""
        tree.add(f"received {text(event.received_at)}{place}")
    if event.code:
        tree.add(f"reason {event.code}; dead events: {text(event.dead_events)}")
    if event.tenant:
        tree.add(f"tenant {event.tenant}, type {text(event.type)}, time {text(event.time)}")
    if event.state in ("counted", "duplicate_conflict") and not found["counted"]:
        tree.add("no meter reads events of this type")
    for one in found["counted"]:
        value = f"{text(one['value'])} {one['unit']}".strip()
        meter = tree.add(f"meter {one['meter']}: hour {text(one['hour'])} has {value}")
        if not one["charges"]:
            meter.add("in no charge: no plan of the tenant prices it")
        for entry in one["charges"]:
            charge: Charge = entry["charge"]
            node = meter.add(
                f"charge {charge.id}: {charge.price} of {charge.plan} v{charge.plan_version}, "
                f"{text(charge.quantity)} for {text(charge.amount)} {charge.currency} "
                f"({text(charge.start)} to {text(charge.end)})"
            )
            for line in entry["invoices"]:
                node.add(
                    f"invoice {line['number'] or line['invoice']} ({line['state']}): "
                    f"{line['description']}, {line['amount']} {line['currency']}"
                )
            if not entry["invoices"]:
                node.add("on no invoice yet")
    console.print(tree)
