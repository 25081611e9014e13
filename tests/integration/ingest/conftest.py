"""An ingest that runs, and what arrives behind it."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.bus.kafka import KafkaBus
from common.contracts.control import is_control
from common.contracts.events import CloudEvent, decode_events
from common.contracts.topics import EVENTS
from common.db import create_pool
from common.stream.position import parse_origin
from ingest.main import build
from ingest.settings import IngestSettings
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.serving import serving


def event(event_id: str, *, source: str = "app", **more: Any) -> dict[str, Any]:
    """A CloudEvent that happened a minute ago."""
    happened = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": "request",
        "subject": "acme",
        "time": happened.isoformat().replace("+00:00", "Z"),
        "data": {"bytes": 10},
    } | more


class Downstream:
    """What a receiver of usage.events takes: records whose origin it has not seen."""

    def __init__(self, bus: KafkaBus) -> None:
        self._bus = bus
        self._offsets: dict[int, int] = {}
        self._seen: dict[tuple[int, int], int] = {}
        self.repeated = 0
        self.events: list[CloudEvent] = []
        self.watermarks = 0

    async def read(self) -> list[CloudEvent]:
        """Everything up to now."""
        for partition in range(await self._bus.partitions(EVENTS.name)):
            end = await self._bus.end_offset(EVENTS.name, partition)
            offset = self._offsets.get(partition, 0)
            if offset >= end:
                continue
            reader = await self._bus.reader(EVENTS.name, partition, offset)
            while offset < end:
                for message in await reader.read(500, 5):
                    offset = message.offset + 1
                    self._take(partition, message)
            await reader.close()
            self._offsets[partition] = offset
        return self.events

    def _take(self, partition: int, message: Any) -> None:
        if is_control(message):
            self.watermarks += 1
            return
        origin, offset = parse_origin(message.header("origin"))
        if offset <= self._seen.get((partition, origin), -1):
            self.repeated += 1
            return
        self._seen[partition, origin] = offset
        self.events += decode_events(message)

    async def ids(self) -> list[str]:
        """Identities in some order, repeated if one was counted twice."""
        return sorted(f"{event.source} {event.id}" for event in await self.read())


class Ingest:
    """A client of a running ingest."""

    def __init__(self, http: httpx.AsyncClient, pool: asyncpg.Pool, downstream: Downstream) -> None:
        self.http, self.pool, self.downstream = http, pool, downstream

    async def send(self, *events: Any, **options: Any) -> httpx.Response:
        return await self.http.post("/v1/events", json=list(events), **options)

    async def batch(
        self,
        first_seq: int,
        events: list[Any],
        node: str = "edge-1",
        epoch: str = "e1",
        **more: Any,
    ) -> dict[str, Any]:
        body = {"node": node, "epoch": epoch, "first_seq": first_seq, "events": events} | more
        answer = await self.http.post("/v1/batches", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def accounting(self) -> dict[str, int]:
        """The accounting; asserts its identity."""
        account = await self.get("/v1/accounting")
        parts = (account[name] for name in ("counted", "duplicates", "parked", "pending"))
        assert account["received"] == sum(parts), account
        return account

    async def settled(self, **expected: int) -> dict[str, int]:
        """Wait until nothing is pending and the account is as expected."""

        async def as_expected() -> dict[str, int]:
            account = await self.accounting()
            assert account["pending"] == 0, account
            assert {name: account[name] for name in expected} == expected, account
            return account

        return await eventually(as_expected, timeout=20)


@pytest.fixture
def settings(kafka: str, topics: str, database: Callable[..., Database]) -> IngestSettings:
    return IngestSettings(
        kafka=kafka,
        topic_prefix=topics,
        database_url=database("ingest").service_url,
        worker_id="test",
        lease_seconds=5,
    )


@pytest.fixture
async def bus(settings: IngestSettings) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(settings.kafka, prefix=settings.topic_prefix)
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def ingest(settings: IngestSettings, bus: KafkaBus) -> AsyncIterator[Ingest]:
    """API and deduper, in this process, behind a socket."""
    pool = await create_pool(settings.database_url, max_size=2)
    async with (
        serving(build(settings, api=True, worker=True)) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Ingest(http, pool, Downstream(bus))
    await pool.close()
