"""`tollgate explain CHARGE`: how a charge's amount came about, down to the events."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer
from rich.markup import escape
from rich.tree import Tree

from tollgate import calls
from tollgate.cli.output import Json, console, print_json, text
from tollgate.cli.times import parse_time
from tollgate.client import Client
from tollgate.errors import TollgateError
from tollgate.models import ChargeExplanation

HOURS_SHOWN = 24


def explain(
    charge: Annotated[str, typer.Argument(help="The charge's id, as `tollgate trace` shows it.")],
    events: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            metavar="TIME",
            help="List the events behind the hour of this time, as long as Kafka holds them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The meter, the hours, the steps of the price with their numbers, and the rounding."""
    with Client() as client:
        found = client.perform(calls.rating.explain_charge(charge))
        # People are shown the beginning only; a gauge may have held a level every ten seconds.
        most = None if as_json or events is not None else HOURS_SHOWN + 1
        rows = list(islice(_rows(client, charge, found), most))
        levels = list(islice(_levels(client, charge, found), most))
        listed = list(_events(client, rows, levels, events)) if events is not None else []
    if as_json:
        print_json({"explanation": found, "rows": rows, "levels": levels, "events": listed})
    else:
        _print(found, rows, levels, listed)


def _rows(client: Client, charge: str, first: ChargeExplanation) -> Iterator[dict[str, Any]]:
    usage = first.usage
    while usage is not None:
        yield from usage["rows"]
        if usage["next"] is None:
            return
        call = calls.rating.explain_charge(charge).after(usage["next"])
        usage = client.perform(call).usage


def _levels(client: Client, charge: str, first: ChargeExplanation) -> Iterator[dict[str, Any]]:
    """What a gauge held, from when to when; nothing for other meters."""
    levels = (first.usage or {}).get("levels")
    while levels is not None:
        yield from levels["held"]
        if levels["next"] is None:
            return
        call = calls.rating.explain_charge(charge, levels_after=levels["next"])
        levels = (client.perform(call).usage or {}).get("levels")


def _events(
    client: Client, rows: list[dict[str, Any]], levels: list[dict[str, Any]], at: datetime
) -> Iterator[dict[str, Any]]:
    """The events behind what covers `at`, once each: rows, and levels that were reported before."""
    covering = [row for row in rows if _time(row["from"]) <= at < _time(row["to"])]
    covering += [
        level
        for level in levels
        if _time(level["from"]) <= at < _time(level["to"])
        and not any(_has_report(row, level) for row in covering)
    ]
    if not covering:
        raise TollgateError(f"the charge has no usage at {at.isoformat()}")
    # The shards of a row of usage are told apart by the log's partitions: one listing has all.
    for link in dict.fromkeys(row["events"] for row in covering):
        query = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
        yield from client.each(calls.aggregator.events_behind(query))


def _has_report(row: dict[str, Any], level: dict[str, Any]) -> bool:
    """Whether the report of a level is one of the events behind a row."""
    reported_at = _time(level["reported_at"])
    is_inside = _time(row["from"]) <= reported_at < _time(row["to"])
    return is_inside and bool(row["group"] == level["group"])


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _print(
    found: ChargeExplanation,
    rows: list[dict[str, Any]],
    levels: list[dict[str, Any]],
    events: list[dict[str, Any]],
) -> None:
    charge = found.charge
    tree = Tree(
        f"charge {charge.id}: [bold]{found.rounded} {charge.currency}[/bold] "
        f"({text(charge.start)} to {text(charge.end)})",
        highlight=False,
    )
    tree.add(f"{charge.price} of plan {charge.plan} version {charge.plan_version}")
    if found.usage is not None:
        meter = found.meter or {"slug": charge.meter}
        usage = tree.add(
            escape(f"meter {_definition(meter)}: {found.usage['quantity']} {charge.unit}".rstrip())
        )
        for lines, what in ((map(_held, levels), "levels"), (map(_row, rows), "rows")):
            shown = list(lines)
            for line in shown[:HOURS_SHOWN]:
                usage.add(escape(line))
            if len(shown) > HOURS_SHOWN:
                usage.add(f"and more {what} (--json shows all)")
        if not found.usage["is_current"]:
            usage.add("more usage has arrived since; the charge will be rated again")
    steps = tree.add("steps")
    for step in found.steps:
        steps.add(escape(step["text"]))
    steps.add(f"exact {found.exact}, residual {found.residual}")
    if found.recomputes is None:
        steps.add(f"[bold]this cannot be computed again: {found.why_not}[/bold]")
    elif not found.recomputes:
        steps.add("[bold]rating this again gives another amount[/bold]")
    if events:
        behind = tree.add(f"events ({len(events):,})")
        for event in events:
            behind.add(escape(f"{event['time']} {event['source']} {event['id']}: {event['value']}"))
    console.print(tree)


def _row(row: dict[str, Any]) -> str:
    return (
        f"{row['from']} {text(row['group'])}: {text(row['value'])} from "
        f"{row['events_counted']:,} events, version {row['version']} of shard {row['shard']}"
    )


def _held(level: dict[str, Any]) -> str:
    """`disk=a: 100 from A to B, 96 h: 9,600 unit-hours (reported before, at R)`"""
    group = f"{text(level['group'])}: " if level["group"] else ""
    said = f"{group}{level['level']} from {level['from']} to {level['to']}, {level['hours']} h"
    said += f": {level['unit_hours']} unit-hours"
    before = level["reported_at"] != level["from"]
    return f"{said} (reported before, at {level['reported_at']})" if before else said


def _definition(meter: dict[str, Any]) -> str:
    """`requests: count of events http, by region (geo.region)`"""
    if "event_type" not in meter:
        return f"{meter['slug']} (its definition is not known)"
    value = f"{meter['value']} of " if meter.get("value") else ""
    said = f"{meter['slug']}: {meter['aggregation']} of {value}events {meter['event_type']}"
    groups = [f"{name} ({path})" for name, path in meter.get("group_by", {}).items()]
    return f"{said}, by {', '.join(groups)}" if groups else said
