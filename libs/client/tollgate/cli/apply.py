"""`tollgate apply -f catalog.yaml`: bring meters, plans, tenants, subscriptions and rules about.

In an order in which each thing finds what it names; meters, plans and rules are all checked before
the first is written. Services learn from each other by topics, so for a moment one may not know
what another has just taken: such an answer is tried again.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from common.periods import slot_of
from tollgate import calls
from tollgate.catalog import bring
from tollgate.catalog.files import Catalog, read_files
from tollgate.catalog.review import review
from tollgate.catalog.state import look
from tollgate.cli.output import Json, print_json, print_table
from tollgate.cli.plan import By, require_possible, user
from tollgate.client import Client
from tollgate.errors import NotFound


def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="A file, a folder, or - for stdin.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for services to learn.")] = 30,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Define meters, plans, tenants, subscriptions and rules. Twice is once."""
    catalog = read_files(file)
    with Client() as client:
        done = list(bring_about(client, catalog, wait, by=by))
    if as_json:
        print_json({"items": [{"kind": a, "name": b, "result": c} for a, b, c in done]})
    else:
        print_table("applied", ["kind", "name", "result"], done)


def bring_about(
    client: Client, catalog: Catalog, wait_seconds: float, *, by: str = ""
) -> Iterator[bring.Done]:
    """Apply everything; yields (kind, name, what happened)."""
    patience = bring.Patience(client, wait_seconds)
    made = patience.retry(lambda: review(client, catalog, look(client)))
    require_possible(made)
    yield from bring.meters(patience.perform, catalog, made, over_any=True)
    yield from bring.plans(patience.perform, catalog, by=by or user())
    for item in catalog["tenants"]:
        patience.perform(calls.rating.put_tenant(item.name, item.body))
        yield "tenant", item.name, "applied"
    for item in catalog["subscriptions"]:
        yield "subscription", item.name, _subscribe(client, item.body, patience)
    yield from bring.rules(patience.perform, catalog, made, over_any=True)


def _subscribe(client: Client, wanted: Mapping[str, Any], patience: bring.Patience) -> str:
    """A subscription has no name of its own: one that runs with the same terms is the same."""
    listing = calls.rating.subscriptions(tenant=wanted["tenant"])
    existing = []
    with suppress(NotFound):
        existing = list(client.each(listing))
    for one in existing:
        given = {name: wanted[name] for name in ("plan", "version") if wanted.get(name)}
        known = {name: getattr(one, name) for name in given}
        same_start = not wanted.get("start") or _boundary(wanted["start"]) == one.start
        same_end = _boundary(wanted.get("end")) == one.end
        if given == known and same_start and same_end:
            return f"exists: {one.id}"
    call = calls.rating.subscribe(wanted)
    # By content, not by try: two runs of this command at once make one subscription.
    content = msgspec.json.encode([wanted, len(existing)], order="deterministic")
    key = f"apply-{sha256(content).hexdigest()}"
    call = replace(call, headers={**call.headers, "Idempotency-Key": key})
    return f"created: {patience.perform(call).id}"


def _boundary(value: str | None) -> datetime | None:
    """Where rating puts a period's boundary: the slot that the time lies in. None also for what
    is no time: rating says so."""
    try:
        return None if value is None else slot_of(datetime.fromisoformat(value))
    except ValueError:
        return None
