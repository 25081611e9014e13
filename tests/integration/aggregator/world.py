"""An aggregator on real servers; the test plays the deduper that feeds it."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from aggregator.main import build
from aggregator.settings import Settings
from common.bus.kafka import KafkaBus
from common.bus.types import Message, Record
from common.contracts import wire
from common.contracts.control import is_control, watermark_record
from common.contracts.events import events_record
from common.contracts.rollups import Rollup
from common.contracts.topics import EVENTS, ROLLUPS, partition_for
from common.stream.position import origin_header
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.serving import serving

PARTITIONS = 4
NOON_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
Event = dict[str, Any]


def event(
    number: int, *, tenant: str = "acme", at: str = "2026-11-23T12:00:00Z", **data: Any
) -> Event:
    """A request event; `number` makes its id."""
    return {
        "specversion": "1.0",
        "source": "edge-1",
        "id": f"e{number}",
        "type": "http.request",
        "subject": tenant,
        "time": at,
        "data": data,
    }


class World:
    """What surrounds the aggregator."""

    def __init__(self, kafka: str, prefix: str, database: Database) -> None:
        self.kafka, self.prefix = kafka, prefix
        self.owner_url, self.service_url = database
        self.bus = KafkaBus(kafka, prefix=prefix)
        self._origin = 0

    def settings(self, **changes: Any) -> Settings:
        fields: dict[str, Any] = {
            "kafka": self.kafka,
            "topic_prefix": self.prefix,
            "database_url": self.service_url,
            "migrations_url": self.owner_url,
            "worker_id": "one",
            "lease_seconds": 2,
            "emit_seconds": 0.1,
        }
        return Settings(**(fields | changes))

    def environment(self, **changes: str) -> Mapping[str, str]:
        """The same for a process of its own."""
        return {
            "TOLLGATE_KAFKA": self.kafka,
            "TOLLGATE_TOPIC_PREFIX": self.prefix,
            "TOLLGATE_DATABASE_URL": self.service_url,
            "TOLLGATE_LEASE_SECONDS": "2",
            "TOLLGATE_EMIT_SECONDS": "0.1",
        } | changes

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator["Api"]:
        """API and worker in this process."""
        app = build(self.settings(**changes), api=True, worker=True)
        async with (
            serving(app) as address,
            httpx.AsyncClient(base_url=address, timeout=30) as http,
        ):
            yield Api(http)

    def records(self, events: Iterable[Event]) -> dict[int, list[Record]]:
        """One record of `events` for each partition, as the deduper would write it."""
        parts: dict[int, list[Event]] = defaultdict(list)
        for one in events:
            parts[partition_for(one["subject"] + one["source"], PARTITIONS)].append(one)
        self._origin += 1
        return {
            partition: [
                events_record(
                    "edge-1",
                    [json.dumps(one).encode() for one in some],
                    origin=origin_header(0, self._origin),
                    stamped_at_ms=NOON_MS,
                    traceparent=None,
                )
            ]
            for partition, some in parts.items()
        }

    async def send(self, *events: Event) -> dict[int, list[Record]]:
        """Append `events`; returns the records, so that they can be sent again."""
        records = self.records(events)
        await self.bus.append(EVENTS.name, records)
        return records

    async def watermark(self, milliseconds: int) -> None:
        """Say that everything received before has passed the deduper."""
        record = watermark_record(0, 1, milliseconds)
        await self.bus.append(EVENTS.name, {n: [record] for n in range(PARTITIONS)})

    async def published(self) -> list[Message]:
        """Everything in usage.rollups."""
        found: list[Message] = []
        for partition in range(PARTITIONS):
            end = await self.bus.end_offset(ROLLUPS.name, partition)
            reader = await self.bus.reader(ROLLUPS.name, partition, 0)
            try:
                last = 0
                while last < end:
                    for message in await reader.read(10_000, 1.0):
                        last = message.offset + 1
                        found.append(message)
            finally:
                await reader.close()
        return found

    async def rollups(self) -> list[Rollup]:
        """The rollups in usage.rollups, in the order of their partitions."""
        return [
            wire.read(Rollup, message)
            for message in await self.published()
            if not is_control(message)
        ]


class Api:
    """The aggregator's API, as a caller uses it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def define(self, slug: str, **definition: Any) -> httpx.Response:
        body = {"event_type": "http.request", "aggregation": "count", "unit": "requests"}
        return await self.http.put(f"/v1/meters/{slug}", json=body | definition)

    async def backfilled(self, slug: str) -> None:
        """Wait until the meter is taken up everywhere and knows the past."""

        async def is_done() -> bool:
            body = (await self.http.get(f"/v1/meters/{slug}")).json()
            return bool(body["backfill"] == {"partitions": PARTITIONS, "records_left": 0})

        await eventually(is_done, timeout=60)

    async def usage(self, meter: str, **parameters: Any) -> list[dict[str, Any]]:
        """The items of a query, 2026 by default."""
        wanted = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"} | parameters
        answer = await self.http.get("/v1/usage", params={"meter": meter, **wanted})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def values(self, meter: str, **parameters: Any) -> dict[str, str]:
        """Tenant to value, over all time."""
        return {item["tenant"]: item["value"] for item in await self.usage(meter, **parameters)}

    async def until(
        self, meter: str, expected: dict[str, str], timeout: float = 30, **parameters: Any
    ) -> None:
        """Wait until the usage is what is expected."""

        async def is_so() -> bool:
            found = await self.values(meter, **parameters)
            assert found == expected, f"{found} is not {expected}"
            return True

        await eventually(is_so, timeout=timeout)
