"""Clients that send each request until it is answered, with the same ids, to any process that may
take it; some are so impatient that they rarely wait for the first answer."""

import asyncio
import json
import random
import time
from collections.abc import Sequence

import httpx

from chaos.load.maker import Maker, Parcel
from chaos.truth import Truth

PATIENCE_SECONDS = (0.15, 2.0, 5.0)
PAUSE_SECONDS = (0.05, 0.6)
BACKOFF_SECONDS = (0.05, 0.5)
SIZES = (1, 3, 10, 25)


class Client:
    """Sends what its maker makes to one of `urls`, until `stop` is set and all is answered."""

    def __init__(
        self, seed: int, name: str, urls: Sequence[str], maker: Maker, truth: Truth
    ) -> None:
        self._random = random.Random(f"{seed}/{name}/client")
        self._urls, self._maker, self._truth = list(urls), maker, truth
        self.name = name
        self.waits_for: Parcel | None = None

    async def run(self, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.waits_for = self._maker.parcel(self._random.choice(SIZES))
            await self._send(http, self.waits_for)
            self._maker.acknowledged(self.waits_for)
            self.waits_for = None
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))

    async def _send(self, http: httpx.AsyncClient, parcel: Parcel) -> None:
        body = json.dumps(parcel.elements)
        now = time.time()
        for made in parcel.made:
            made.sent_at = made.sent_at or now
        while True:
            if await self._attempt(http, body, parcel):
                return
            await asyncio.sleep(self._random.uniform(*BACKOFF_SECONDS))

    async def _attempt(self, http: httpx.AsyncClient, body: str, parcel: Parcel) -> bool:
        url = self._random.choice(self._urls)
        try:
            answer = await http.post(
                f"{url}/v1/events",
                content=body,
                headers={"content-type": "application/json"},
                timeout=self._random.choice(PATIENCE_SECONDS),
            )
        except httpx.TransportError:
            return False
        if answer.status_code == 503:
            return False
        if answer.status_code not in (200, 422):
            self._surprise(f"{answer.status_code} from {url}: {answer.text[:300]}")
            return False
        refused = {item["index"] for item in answer.json()["rejected"]}
        if refused != parcel.refused:
            wrong = sorted(refused ^ parcel.refused)
            self._surprise(
                f"{url} was to refuse elements {sorted(parcel.refused)},"
                f" and refused {sorted(refused)}; element {wrong[0]}:"
                f" {json.dumps(parcel.elements[wrong[0]])}; answer: {answer.text[:600]}"
            )
        return True

    def _surprise(self, text: str) -> None:
        self._truth.surprises.append(f"{time.time():.3f} {self.name}: {text}")
