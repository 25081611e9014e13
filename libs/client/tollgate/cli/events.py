"""`tollgate events`: send, state, accounting, dead events."""

import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from tollgate import calls
from tollgate.cli.output import Json, console, print_error, print_fields, print_json, print_table
from tollgate.client import Client
from tollgate.errors import TollgateError
from tollgate.event import event

cli = typer.Typer(help="Usage events.", no_args_is_help=True)
dead = typer.Typer(help="Events that were received and not counted.", no_args_is_help=True)
cli.add_typer(dead, name="dead")

BATCH_EVENTS = 2_000
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class BadInput(TollgateError):
    """The input is not events; the message says where."""


@cli.command()
def send(
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="JSON array or lines; - for stdin.")
    ] = None,
    type: Annotated[str | None, typer.Option(help="Of a single event.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of a single event.")] = None,
    data: Annotated[str, typer.Option(help="Of a single event, JSON.")] = "{}",
    to: Annotated[str, typer.Option(help="ingest or collector.")] = "ingest",
    as_json: Json = False,
) -> None:
    """Send events. What lacks an id, source or time gets one, so keep the file's own ids where
    you may send it twice."""
    if to not in ("ingest", "collector"):
        raise typer.BadParameter("--to: ingest or collector")
    if file is not None:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        found = parse(text)
    elif type and tenant:
        found = iter([{"type": type, "subject": tenant, "data": _json(data.encode(), "--data")}])
    else:
        raise typer.BadParameter("give --file, or --type and --tenant")
    accepted, rejected = _send(found, to)  # type: ignore[arg-type]
    if as_json:
        print_json({"accepted": accepted, "rejected": rejected})
    else:
        console.print(f"{accepted} accepted, {len(rejected)} rejected")
        for one in rejected[:20]:
            print_error(f"  event {one['index']}: {one['code']} {one['message']}")
    if rejected:
        raise typer.Exit(1)


def parse(text: bytes) -> Iterator[dict[str, Any]]:
    """Events in a JSON array, a single object, or one a line; numbers exact."""
    stripped = text.lstrip()
    if stripped[:1] == b"[":
        found = _json(text, "the array")
    else:
        lines = enumerate(text.splitlines(), 1)
        found = [_json(line, f"line {number}") for number, line in lines if line.strip()]
    for place, one in enumerate(found):
        if not isinstance(one, dict):
            raise BadInput(f"event {place}: must be a JSON object")
        yield one


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with an id, source and time, which every try will repeat."""
    made = event(str(given.get("type", "")), str(given.get("subject", "")))
    return {
        "specversion": "1.0",
        "id": made.id,
        "source": "tollgate-cli",
        "time": made.time,
        **given,
    }


@cli.command()
def state(
    source: Annotated[str, typer.Argument()],
    id: Annotated[str, typer.Argument()],
    as_json: Json = False,
) -> None:
    """What became of one event."""
    with Client() as client:
        found = client.event_state(source, id)
    if as_json:
        print_json(found)
        return
    names = found.__struct_fields__
    print_fields(f"event {source} {id}", [(name, getattr(found, name)) for name in names])


@cli.command()
def accounting(as_json: Json = False) -> None:
    """received = counted + duplicates + parked + pending."""
    with Client() as client:
        found = client.accounting()
    if as_json:
        print_json(found)
    else:
        names = found.__struct_fields__
        print_fields("accounting", [(name, getattr(found, name)) for name in names])


@dead.command(name="list")
def list_dead(
    state: Annotated[str | None, typer.Option(help="open, replayed, discarded, ...")] = None,
    as_json: Json = False,
) -> None:
    """Dead events, newest first."""
    with Client() as client:
        found = list(client.each(calls.ingest.dead_events(state=state)))
    if as_json:
        print_json({"items": found})
        return
    columns = ["id", "state", "code", "source", "event", "received", "message"]
    print_table(
        "dead events",
        columns,
        [(d.id, d.state, d.code, d.source, d.event_id, d.received_at, d.message) for d in found],
    )


@dead.command()
def replay(id: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """Send a dead event through once more."""
    with Client() as client:
        _answered(client.replay_dead_event(id), as_json)


@dead.command()
def discard(id: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """Give a dead event up."""
    with Client() as client:
        _answered(client.discard_dead_event(id), as_json)


def _send(
    events: Iterator[dict[str, Any]], to: Literal["ingest", "collector"]
) -> tuple[int, list[dict[str, Any]]]:
    accepted, sent = 0, 0
    rejected: list[dict[str, Any]] = []
    with Client() as client:
        while batch := [complete(one) for one in islice(events, BATCH_EVENTS)]:
            answer = client.send_events(batch, to=to)
            accepted += answer.accepted
            for one in answer.rejected:
                place = {"index": sent + one.index, "id": one.id}
                rejected.append({**place, "code": one.code, "message": one.message})
            sent += len(batch)
    return accepted, rejected


def _json(text: bytes, where: str) -> Any:
    try:
        return _decoder.decode(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON: {error}") from None


def _answered(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_fields(f"dead event {found.get('id', '')}", found.items())
