"""What is looked at all along: the edges' decisions, and the accounting identity."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from chaos.checks.decisions import Glimpse
from chaos.site import Site

EDGE_SECONDS = 0.3
BOOKS_SECONDS = 1.5


@dataclass
class Notes:
    """What was seen."""

    edges: dict[str, list[Glimpse]] = field(default_factory=dict)
    """By collector, in the order of time."""
    books: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """(Unix time, GET /v1/accounting)."""


async def watch_edge(site: Site, http: httpx.AsyncClient, name: str, notes: Notes) -> None:
    """Notes the decisions in force at a collector, until cancelled."""
    glimpses = notes.edges.setdefault(name, [])
    while True:
        found = await _get(http, f"{site.url(name)}/v1/status")
        if found is not None:
            held = found["decisions"]["held"]
            glimpses.append(
                Glimpse(
                    time.time(),
                    found["decisions"]["revision"],
                    {f"{one['tenant']}/{one['action']}": one["revision"] for one in held},
                )
            )
        await asyncio.sleep(EDGE_SECONDS)


async def watch_books(site: Site, http: httpx.AsyncClient, notes: Notes) -> None:
    """Notes the accounting as either API tells it, until cancelled."""
    turn = 0
    while True:
        turn += 1
        name = f"ingest-api-{turn % 2 + 1}"
        found = await _get(http, f"{site.url(name)}/v1/accounting")
        if found is not None:
            notes.books.append((time.time(), found))
        await asyncio.sleep(BOOKS_SECONDS)


async def _get(http: httpx.AsyncClient, url: str) -> Any:
    """The JSON of a 200, or None."""
    try:
        answer = await http.get(url, timeout=3)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None
