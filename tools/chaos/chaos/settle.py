"""After the faults: everything comes to rest, and then says what it has counted."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from chaos import cast, catalog
from chaos.ask import Ask
from chaos.counted import Counted, key_of
from chaos.site import Site
from chaos.truth import Cell, Truth
from chaos.waiting import until

STAMP_TOLERANCE_SECONDS = 240.0
"""A collector or an API with a wrong clock stamps with it."""


async def wait_for_rest(site: Site, ask: Ask, http: httpx.AsyncClient, seconds: float) -> None:
    """Returns when the spools are shipped and nothing received is pending; TimeoutError else."""

    async def shipped() -> bool:
        for name in cast.COLLECTORS:
            try:
                answer = await http.get(f"{site.url(name)}/v1/status", timeout=5)
            except httpx.TransportError:
                return False
            if answer.status_code != 200 or answer.json()["spool"]["unsent"]:
                return False
        return True

    async def processed() -> bool:
        account = await ask.get("ingest", "/v1/accounting")
        return bool(account["pending"] == 0)

    await until(shipped, "the spools to be shipped", seconds=seconds)
    await until(processed, "what was received to be processed", seconds=seconds)


def settle_stamps(truth: Truth, counted: Counted) -> list[str]:
    """Takes over when the events without a time were stamped, which only the system knows; the
    sentences are about stamps that cannot be right."""
    wrong = []
    for made in truth.stamped:
        times = counted.get(key_of(made))
        at_ms = times[0] if times else int(made.sent_at * 1000)
        made.at_ms = at_ms
        low, high = made.sent_at, made.acked_at or made.sent_at
        if not low - STAMP_TOLERANCE_SECONDS <= at_ms / 1000 <= high + STAMP_TOLERANCE_SECONDS:
            wrong.append(f"event {made.source} {made.id}, sent at {low}, is stamped {at_ms / 1000}")
    return wrong


async def usage(ask: Ask, begin: datetime, end: datetime) -> dict[Cell, Decimal]:
    """Usage by tenant, hour, meter and path, as GET /v1/usage tells it; zeros left out."""
    found: dict[Cell, Decimal] = {}
    for slug, meter in catalog.METERS.items():
        query = {
            "meter": slug,
            "window": "hour",
            "from": begin.isoformat(),
            "to": end.isoformat(),
        }
        if "host" in meter.get("group_by", {}):
            query["group_by"] = "host"
        async for item in ask.items("aggregator", "/v1/usage", **query):
            value = Decimal(item["value"] or 0)
            if value:
                hour = datetime.fromisoformat(item["from"])
                host = item["group"].get("host", "")
                found[Cell(item["tenant"], hour, slug, host)] = value
    return found


def whole_hours(truth: Truth) -> tuple[datetime, datetime]:
    """The hours from the earliest event to the latest."""
    times = [made.at_ms for made in truth.events if made.at_ms is not None]
    first, last = (datetime.fromtimestamp(at // 1000, UTC) for at in (min(times), max(times)))
    floor = {"minute": 0, "second": 0, "microsecond": 0}
    return first.replace(**floor), last.replace(**floor) + timedelta(hours=1)  # type: ignore[arg-type]


@dataclass
class Parked:
    """Who lists which refused events: markers by place, and conflicts by (source, id)."""

    markers: dict[str, set[str]]
    conflicts: set[tuple[str, str]]


async def parked(site: Site, ask: Ask, http: httpx.AsyncClient) -> Parked:
    """Everything that is listed as parked."""
    found = Parked({"ingest": set()}, set())
    async for dead in ask.items("ingest", "/v1/dead-events"):
        if dead["code"] == "identity_conflict":
            found.conflicts.add((dead["source"], dead["event_id"]))
        elif dead["source"] is not None:
            found.markers["ingest"].add(dead["source"])
    for name in cast.COLLECTORS:
        found.markers[name] = {
            marker
            async for item in _parked_here(http, site.url(name))
            if (marker := _marker(item["body"])) is not None
        }
    return found


async def _parked_here(http: httpx.AsyncClient, url: str) -> Any:
    cursor: dict[str, str] = {}
    while True:
        params = {"limit": "1000", **cursor}
        answer = await http.get(f"{url}/v1/parked", params=params, timeout=10)
        answer.raise_for_status()
        page = answer.json()
        for item in page["items"]:
            yield item
        if not page.get("next"):
            return
        cursor = {"cursor": page["next"]}


def _marker(body: str) -> str | None:
    """`bad/...` as it stands in the bytes."""
    begin = body.find('"bad/')
    return body[begin + 1 : body.index('"', begin + 1)] if begin >= 0 else None


def unlisted(truth: Truth, found: Parked) -> list[str]:
    """Refused events and conflicts that were acknowledged and that nobody lists."""
    wrong = [
        f"the refused event {bad.marker} is not listed at {bad.place}"
        for bad in truth.bad
        if bad.acked and bad.marker not in found.markers.get(bad.place, set())
    ]
    return wrong + [
        f"the copy of {source} {id} with other content is not listed"
        for source, id in truth.conflicts
        if (source, id) not in found.conflicts
    ]
