"""A throttler on real servers, with the rest of the system played by the test.

The test is the aggregator (usage.rollups, and its REST API where a meter is unknown) and rating
(catalog.tenants); the clock is the test's too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from common.bus.kafka import KafkaBus
from common.contracts.control import watermark_record
from common.contracts.meters import Meter, meter_record
from common.contracts.rollups import Aggregate, Rollup, Slot, rollup_record
from common.contracts.tenants import Tenant, TenantSubscription, tenant_record
from common.contracts.topics import METERS, ROLLUPS, TENANTS, partition_for
from tests.support.databases import Database
from tests.support.serving import serving
from throttler.main import build
from throttler.settings import Settings

PARTITIONS = 4
NOON = datetime(2026, 5, 15, 12, 0, tzinfo=UTC)


class Clock:
    """The present, as the test sets it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class World:
    """What surrounds the throttler. Usage is absolute by hour, as on the bus."""

    def __init__(self, kafka: str, prefix: str, database: Database) -> None:
        self.kafka, self.prefix = kafka, prefix
        self.owner_url, self.service_url = database
        self.clock = Clock()
        self.bus = KafkaBus(kafka, prefix=prefix)
        self._version = 0
        self._slots: dict[tuple[str, str, datetime], Decimal] = {}

    def settings(self, **changes: Any) -> Settings:
        fields: dict[str, Any] = {
            "kafka": self.kafka,
            "topic_prefix": self.prefix,
            "database_url": self.service_url,
            "migrations_url": self.owner_url,
            "worker_id": "one",
            "lease_seconds": 2,
            "heartbeat_seconds": 0.5,
            "tick_seconds": 0.1,
            "feed_seconds": 0.05,
            "aggregator_url": "http://127.0.0.1:9",
        }
        return Settings(**(fields | changes))

    @asynccontextmanager
    async def throttler(
        self, *, api: bool = True, worker: bool = True, **changes: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A running throttler, and a client of its API."""
        app = build(self.settings(**changes), api=api, worker=worker, clock=self.clock)
        async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield client

    async def meter(self, slug: str = "requests") -> None:
        record = meter_record(Meter(slug=slug, event_type="http", aggregation="count", revision=1))
        await self.bus.append(METERS.name, {partition_for(slug, PARTITIONS): [record]})

    async def tenant(self, key: str, *subscriptions: TenantSubscription, revision: int = 1) -> None:
        record = tenant_record(
            Tenant(
                key=key,
                name=key.title(),
                currency="EUR",
                timezone="UTC",
                billing_day=1,
                revision=revision,
                subscriptions=list(subscriptions),
            )
        )
        await self.bus.append(TENANTS.name, {partition_for(key, PARTITIONS): [record]})

    async def use(self, tenant: str, quantity: int, meter: str = "requests") -> None:
        """The tenant uses `quantity` more now; the watermark follows."""
        self._version += 1
        now = self.clock.now
        slot = now.replace(second=now.second // 10 * 10, microsecond=0)
        hour = now.replace(minute=0, second=0, microsecond=0)
        place = (tenant, meter, slot)
        self._slots[place] = self._slots.get(place, Decimal(0)) + quantity
        total = sum(
            value
            for (who, what, start), value in self._slots.items()
            if (who, what) == (tenant, meter) and hour <= start < hour + timedelta(hours=1)
        )
        rollup = Rollup(
            tenant=tenant,
            meter=meter,
            aggregation="sum",
            unit="1",
            group={},
            hour=hour,
            shard=0,
            version=self._version,
            value=Aggregate(count=1, sum=Decimal(total)),
            slots=[Slot(start=slot, value=Aggregate(count=1, sum=self._slots[place]))],
        )
        partition, record = rollup_record(rollup, PARTITIONS)
        await self.bus.append(ROLLUPS.name, {partition: [record]})
        await self.watermark()

    async def watermark(self) -> None:
        """Everything until now has been counted."""
        at_ms = int(self.clock.now.timestamp() * 1000)
        record = watermark_record(0, 1, at_ms)
        await self.bus.append(ROLLUPS.name, {number: [record] for number in range(PARTITIONS)})
