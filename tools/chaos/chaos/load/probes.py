"""Probes: one event after the other by every way in, numbered, to see when each becomes visible.

A probe is usage of the tenant `probe` with its number as its size, so the maximum over a path says
which probe of it is visible in `GET /v1/usage`.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from chaos.catalog import PROBE_METER, PROBE_TENANT
from chaos.load.logs import AccessLog
from chaos.load.maker import event
from chaos.truth import Made, Truth

EVERY_SECONDS = 0.5
LOOK_SECONDS = 0.2


@dataclass
class Sightings:
    """Unix times: when probe n of a path was first sent, and what was visible when one looked."""

    sent: dict[str, list[float]] = field(default_factory=dict)
    """By path; the time of probe n stands at n - 1."""
    seen: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """(when the answer came, the highest visible number by path)."""

    def visible(self, path: str) -> int:
        return self.seen[-1][1].get(path, 0) if self.seen else 0


class Prober:
    """Sends probes by one HTTP path."""

    def __init__(
        self, seed: int, path: str, urls: Sequence[str], truth: Truth, sightings: Sightings
    ) -> None:
        self._random = random.Random(f"{seed}/{path}/probe")
        self._path, self._urls, self._truth = path, list(urls), truth
        self._sent = sightings.sent.setdefault(path, [])

    async def run(self, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = len(self._sent) + 1
            now = time.time()
            made = Made(
                tenant=PROBE_TENANT,
                source=f"{self._path}/probe",
                id=str(number),
                at_ms=int(now * 1000),
                size=number,
                millis=0,
                page=0,
                path=self._path,
                sent_at=now,
            )
            self._truth.events.append(made)
            self._sent.append(now)
            body = json.dumps([event(made)])
            await self._send(http, body)
            made.acked_at = time.time()
            await asyncio.sleep(EVERY_SECONDS)

    async def _send(self, http: httpx.AsyncClient, body: str) -> None:
        while True:
            if await self._attempt(http, body):
                return
            await asyncio.sleep(0.1)

    async def _attempt(self, http: httpx.AsyncClient, body: str) -> bool:
        url = self._random.choice(self._urls)
        headers = {"content-type": "application/json"}
        try:
            answer = await http.post(f"{url}/v1/events", content=body, headers=headers, timeout=2)
        except httpx.TransportError:
            return False
        return answer.status_code == 200


async def probe_log(log: AccessLog, path: str, sightings: Sightings, stop: asyncio.Event) -> None:
    """Probes by a node's access log."""
    sent = sightings.sent.setdefault(path, [])
    while not stop.is_set():
        sent.append(time.time())
        await log.probe(PROBE_TENANT, len(sent))
        await asyncio.sleep(EVERY_SECONDS)


async def look(
    http: httpx.AsyncClient, urls: Sequence[str], begin: str, sightings: Sightings
) -> None:
    """Notes what is visible, asking the aggregators in turn, until cancelled."""
    turn = 0
    while True:
        turn += 1
        try:
            answer = await http.get(
                f"{urls[turn % len(urls)]}/v1/usage",
                params={
                    "meter": PROBE_METER,
                    "tenant": PROBE_TENANT,
                    "group_by": "host",
                    "from": begin,
                },
                timeout=2,
            )
            if answer.status_code == 200:
                seen = {
                    item["group"]["host"]: int(item["value"])
                    for item in answer.json()["items"]
                    if item["value"] is not None
                }
                sightings.seen.append((time.time(), seen))
        except httpx.TransportError:
            pass
        await asyncio.sleep(LOOK_SECONDS)
