"""`tollgate apply -f catalog.yaml`: bring meters, plans, tenants, subscriptions and rules about.

In an order in which each thing finds what it names. Services learn from each other by topics, so
for a moment one may not know what another has just taken: such an answer is tried again.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
import yaml

from common.periods import slot_of
from tollgate import calls
from tollgate.call import Call
from tollgate.cli.output import Json, print_json, print_table
from tollgate.client import Client
from tollgate.errors import NotFound, ProblemError, TollgateError

T = TypeVar("T")
KINDS = ("meters", "plans", "tenants", "subscriptions", "rules")
PAUSE_SECONDS = 0.3


class BadCatalog(TollgateError):
    """The file is not a catalog; the message says where."""


def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The catalog; - for standard input.")],
    wait: Annotated[float, typer.Option(help="Seconds to wait for services to learn.")] = 30,
    as_json: Json = False,
) -> None:
    """Define meters, plans, tenants, subscriptions and rules. Twice is once."""
    catalog = read(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    with Client() as client:
        done = list(bring_about(client, catalog, wait))
    if as_json:
        print_json({"items": [{"kind": a, "name": b, "result": c} for a, b, c in done]})
    else:
        print_table("applied", ["kind", "name", "result"], done)


def read(text: str) -> dict[str, list[dict[str, Any]]]:
    """The catalog in a YAML document: lists of bodies, each with its slug or key."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadCatalog(f"not YAML: {error}") from None
    if not isinstance(found, dict):
        raise BadCatalog(f"a catalog is a mapping with some of {', '.join(KINDS)}")
    unknown = sorted(set(map(str, found)) - set(KINDS))
    if unknown:
        raise BadCatalog(f"unknown: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    catalog: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS:
        items = found.get(kind) or []
        names = ("tenant", "plan") if kind == "subscriptions" else (_name_of(kind),)
        for place, item in enumerate(items):
            if not isinstance(item, dict):
                raise BadCatalog(f"{kind}[{place}]: must be a mapping")
            for name in names:
                if not isinstance(item.get(name), str):
                    raise BadCatalog(f"{kind}[{place}].{name}: missing, or not a string")
        catalog[kind] = items
    return catalog


def bring_about(
    client: Client, catalog: Mapping[str, list[dict[str, Any]]], wait_seconds: float
) -> Iterator[tuple[str, str, str]]:
    """Apply everything; yields (kind, name, what happened)."""
    deadline = time.monotonic() + wait_seconds
    put: dict[str, Callable[[str, Mapping[str, Any]], Call[Any]]] = {
        "meters": calls.aggregator.put_meter,
        "plans": calls.rating.put_plan,
        "tenants": calls.rating.put_tenant,
        "rules": calls.throttler.put_rule,
    }
    for kind in KINDS:
        for item in catalog[kind]:
            if kind == "subscriptions":
                name = f"{item['tenant']} on {item['plan']}"
                yield "subscription", name, _subscribe(client, item, deadline)
                continue
            name = item[_name_of(kind)]
            body = {key: value for key, value in item.items() if key != _name_of(kind)}
            result = _patiently(client, put[kind](name, _plain(body)), deadline)
            version = getattr(result, "version", None)
            yield kind[:-1], name, f"version {version}" if version else "applied"


def _subscribe(client: Client, item: dict[str, Any], deadline: float) -> str:
    """A subscription has no name of its own: one that runs with the same terms is the same."""
    wanted = _plain(item)
    listing = calls.rating.subscriptions(tenant=item["tenant"])
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
    return f"created: {_patiently(client, call, deadline).id}"


def _patiently(client: Client, call: Call[T], deadline: float) -> T:
    """Perform; again while a service does not know yet what another one has taken."""
    while True:
        try:
            return client.perform(call)
        except ProblemError as error:
            learning = error.code.startswith("unknown_") or error.status >= 500
            if not learning or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def _name_of(kind: str) -> str:
    return "key" if kind == "tenants" else "slug"


def _plain(value: Any) -> Any:
    """YAML values as the APIs take them: times as RFC 3339 UTC, a date as its UTC midnight."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return value


def _boundary(value: str | None) -> datetime | None:
    """Where rating puts a period's boundary: the slot that the time lies in. None also for what
    is no time: rating says so."""
    try:
        return None if value is None else slot_of(datetime.fromisoformat(value))
    except ValueError:
        return None
