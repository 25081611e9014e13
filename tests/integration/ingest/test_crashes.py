"""Two dedupers fight over the same partitions while they are killed and frozen in a loop."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from common.bus.kafka import KafkaBus
from common.db import create_pool
from ingest.settings import IngestSettings
from tests.integration.ingest.conftest import Downstream, Ingest, event
from tests.support.processes import ServiceProcess

SECONDS = 20.0
NODES = 3
pytestmark = pytest.mark.timeout(180)


class Traffic:
    """Sends until told to stop, and remembers what must have been counted."""

    def __init__(self, ingest: Ingest, seed: int) -> None:
        self._ingest, self._chance = ingest, random.Random(seed)
        self.identities: set[str] = set()
        self.elements = 0
        self.bad = 0
        self.sent: list[list[Any]] = []
        self._next_seq = dict.fromkeys(range(NODES), 1)
        self._last: dict[int, tuple[int, list[Any]]] = {}

    async def run(self, until: float) -> None:
        while time.monotonic() < until:
            await self.send_events()
            await self.send_batch(self._chance.randrange(NODES))

    async def send_events(self) -> None:
        """Mostly new events, some of earlier requests again, a few bad ones."""
        events: list[Any] = [
            event(f"{len(self.sent)}-{n}", source=f"app-{n % 5}", subject=f"t{n % 11}")
            for n in range(100)
        ]
        self.identities.update(f"{e['source']} {e['id']}" for e in events)
        if self.sent:
            events += self._chance.sample(self._chance.choice(self.sent), 10)
        self.sent.append(events[:100])
        events.append({"id": "bad"})
        self._chance.shuffle(events)
        answer = await self._ingest.send(*events)
        assert answer.status_code == 200, answer.text
        self.elements += len(events)
        self.bad += 1

    async def send_batch(self, number: int) -> None:
        """The next batch of a node, and now and then the last one again with more to it."""
        node, first = f"edge-{number}", self._next_seq[number]
        new = [event(f"e-{first + n}", source=node, subject=f"t{n}") for n in range(20)]
        self.identities.update(f"{node} {e['id']}" for e in new)
        send_from, events = first, new
        if number in self._last and self._chance.random() < 0.3:
            send_from, earlier = self._last[number]
            events = earlier + new
        self._last[number] = (first, new)
        self._next_seq[number] = first + len(new)
        await self._ingest.batch(send_from, events, node=node, epoch="e")
        self.elements += len(events)


async def test_every_event_counts_once_whatever_dies(
    settings: IngestSettings,
    bus: KafkaBus,
    service_process: Callable[..., ServiceProcess],
) -> None:
    environment = {
        "TOLLGATE_KAFKA": settings.kafka,
        "TOLLGATE_TOPIC_PREFIX": settings.topic_prefix,
        "TOLLGATE_DATABASE_URL": settings.database_url,
        "TOLLGATE_LEASE_SECONDS": "1",
    }
    api = service_process("tollgate-ingest", "api", environment=environment, name="api")
    dedupers = [
        service_process("tollgate-ingest", "deduper", environment=environment, name=f"deduper-{n}")
        for n in range(2)
    ]
    await asyncio.gather(api.start(), *(deduper.start() for deduper in dedupers))
    pool = await create_pool(settings.database_url, max_size=2)
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as http:
        ingest = Ingest(http, pool, Downstream(bus))
        traffic = Traffic(ingest, seed=7)
        until = time.monotonic() + SECONDS
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run(until))
            group.create_task(keep_asking(ingest, until))
            for deduper in dedupers:
                group.create_task(torment(deduper, until))
        await ingest.settled(
            received=traffic.elements,
            counted=len(traffic.identities),
            parked=traffic.bad,
            duplicates=traffic.elements - len(traffic.identities) - traffic.bad,
        )
        counted = Counter(await ingest.downstream.ids())
    assert set(counted) == traffic.identities
    assert set(counted.values()) == {1}
    await pool.close()


async def keep_asking(ingest: Ingest, until: float) -> None:
    """The accounting identity holds at every moment, and nothing is taken back."""
    received = 0
    while time.monotonic() < until:
        account = await ingest.accounting()
        assert account["received"] >= received
        received = account["received"]
        await asyncio.sleep(0.05)


async def torment(process: ServiceProcess, until: float) -> None:
    """Kill and restart, or freeze past the lease so that it wakes up as a zombie."""
    chance = random.Random(process.port)
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        if chance.random() < 0.6:
            await process.kill()
            await process.start(ready=False)
        else:
            process.send(signal.SIGSTOP)
            await asyncio.sleep(chance.uniform(1.2, 2.5))
            process.send(signal.SIGCONT)
    await process.wait_ready()
