"""`tollgate status`: is everything up, and how far is it?"""

from typing import Any

import typer

from tollgate.addresses import SERVICES
from tollgate.call import Call
from tollgate.cli.output import Json, console, print_json, print_table, text
from tollgate.client import Client
from tollgate.errors import TollgateError
from tollgate.models import Readiness
from tollgate.retry import Patience


def status(as_json: Json = False) -> None:
    """Readiness of every service, watermarks, accounting; exit code 1 if something is not well."""
    with Client(patience=Patience(total_seconds=0), timeout_seconds=3) as client:
        services = [_service(client, name) for name in SERVICES]
        accounting = _asked(client, "ingest", "/v1/accounting")
        watermark = _asked(client, "aggregator", "/v1/watermark")
        spool = _asked(client, "collector", "/v1/status")
    well = all(one["ready"] for one in services)
    if as_json:
        found = {"ready": well, "services": services, "accounting": accounting}
        print_json(found | {"watermark": watermark, "collector": spool})
    else:
        rows = [
            (one["service"], one["address"], "ready" if one["ready"] else "NOT READY", one["why"])
            for one in services
        ]
        print_table("services", ["service", "address", "state", "why"], rows)
        if accounting is not None:
            console.print(f"events: {text(accounting)}", highlight=False)
        if watermark is not None:
            console.print(f"usage: {text(watermark)}", highlight=False)
        if spool is not None and isinstance(spool.get("spool"), dict):
            unsent = spool["spool"].get("unsent")
            console.print(f"collector: {unsent} events wait on disk", highlight=False)
    if not well:
        raise typer.Exit(1)


def _service(client: Client, name: str) -> dict[str, Any]:
    call: Call[Readiness] = Call(name, "GET", "/readyz", Readiness, also={503: "checks"})
    try:
        found = client.perform(call)
    except TollgateError as error:
        ready, why = False, str(error)
    else:
        ready = found.ready
        why = ", ".join(check for check, holds in found.checks.items() if not holds)
    return {
        "service": name,
        "address": client.addresses.of(name),
        "ready": ready,
        "why": "" if ready else why,
    }


def _asked(client: Client, service: str, path: str) -> dict[str, Any] | None:
    """An answer that makes the picture fuller, if there is one."""
    call: Call[dict[str, Any]] = Call(service, "GET", path, dict[str, Any])
    try:
        return client.perform(call)
    except TollgateError:
        return None
