"""What surrounds rating in a test: the aggregator's side of Kafka, a clock, and API clients."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from common.bus.kafka import KafkaBus
from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.control import is_control, watermark_of, watermark_record
from common.contracts.meters import Meter, meter_record
from common.contracts.rollups import Aggregate, Rollup, Slot, group_key, rollup_record
from common.contracts.tenants import Tenant
from common.contracts.topics import CHARGES, METERS, ROLLUPS, TENANTS, partition_for
from common.periods import slot_of
from rating.main import build
from rating.settings import Settings
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.serving import serving

SHARDS = 4


@dataclass
class World:
    """`now` is what rating takes for the present; tests move it."""

    stack: AsyncExitStack
    bus: KafkaBus
    kafka: str
    topic_prefix: str
    database: Database
    now: datetime
    versions: dict[Any, int] = field(default_factory=dict)

    def settings(self, worker_id: str, **more: Any) -> Settings:
        return Settings(
            kafka=self.kafka,
            topic_prefix=self.topic_prefix,
            database_url=self.database.service_url,
            worker_id=worker_id,
            lease_seconds=more.pop("lease_seconds", 2),
            aggregator_url=more.pop("aggregator_url", "http://127.0.0.1:9"),
            **more,
        )

    async def start(
        self,
        *,
        api: bool = True,
        worker: bool = True,
        worker_id: str = "one",
        stack: AsyncExitStack | None = None,
        **more: Any,
    ) -> httpx.AsyncClient:
        """Run rating until `stack` (or the test) ends; a client of it."""
        stack = stack or self.stack
        app = build(
            self.settings(worker_id, **more), api=api, worker=worker, clock=lambda: self.now
        )
        url = await stack.enter_async_context(serving(app))
        return await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))

    def environment(self) -> dict[str, str]:
        """For rating as a process of its own."""
        return {
            "TOLLGATE_KAFKA": self.kafka,
            "TOLLGATE_TOPIC_PREFIX": self.topic_prefix,
            "TOLLGATE_DATABASE_URL": self.database.service_url,
            "TOLLGATE_LEASE_SECONDS": "2",
        }

    async def add_meter(self, slug: str, unit: str = "request", **more: Any) -> None:
        fields = {"event_type": "t", "aggregation": "sum", "value": "n", "unit": unit} | more
        meter = Meter(slug=slug, **fields)
        partition = partition_for(slug, await self.bus.partitions(METERS.name))
        await self.bus.append(METERS.name, {partition: [meter_record(meter)]})

    async def use(
        self,
        tenant: str,
        meter: str,
        amounts: dict[datetime, int | str],
        *,
        shard: int = 0,
        version: int | None = None,
        times: int = 1,
        group: dict[str, str] | None = None,
    ) -> None:
        """Emit the hour that holds all of `amounts` (absolute, by instant) as the aggregator
        does; without a `version` a higher one than before."""
        slots: dict[datetime, Decimal] = {}
        for at, amount in amounts.items():
            slots[slot_of(at)] = slots.get(slot_of(at), Decimal(0)) + Decimal(amount)
        total = Aggregate(count=len(amounts), sum=sum(slots.values(), Decimal(0)))
        values = {at: Aggregate(count=1, sum=amount) for at, amount in slots.items()}
        place = (tenant, meter, group or {}, shard)
        await self._emit(place, "sum", total, values, version, times)

    async def report(
        self,
        tenant: str,
        meter: str,
        levels: dict[datetime, int | str],
        *,
        shard: int = 0,
        group: dict[str, str] | None = None,
    ) -> None:
        """Emit the hour of a gauge that reported all of `levels`."""
        values = {
            slot_of(at): Aggregate(count=1, latest=Decimal(level), latest_at=at)
            for at, level in sorted(levels.items())
        }
        total = values[max(values)]
        await self._emit((tenant, meter, group or {}, shard), "latest", total, values)

    async def _emit(
        self,
        place: tuple[str, str, dict[str, str], int],
        aggregation: str,
        total: Aggregate,
        slots: dict[datetime, Aggregate],
        version: int | None = None,
        times: int = 1,
    ) -> None:
        tenant, meter, group, shard = place
        hour = min(slots).replace(minute=0, second=0, microsecond=0)
        assert max(slots) < hour + timedelta(hours=1)
        key = (tenant, meter, hour, shard, group_key(group))
        if version is None:
            version = self.versions.get(key, 0) + 1
        self.versions[key] = max(version, self.versions.get(key, 0))
        rollup = Rollup(
            tenant=tenant,
            meter=meter,
            aggregation=aggregation,
            unit="request",
            group=group,
            hour=hour,
            shard=shard,
            version=version,
            value=total,
            slots=[Slot(start=at, value=value) for at, value in slots.items()],
        )
        partition, record = rollup_record(rollup, await self.bus.partitions(ROLLUPS.name))
        await self.bus.append(ROLLUPS.name, {partition: [record] * times})

    async def seal(self, watermark: datetime) -> None:
        """Tell the watermark as all partitions of the aggregator."""
        inputs = await self.bus.partitions(ROLLUPS.name)
        records = [
            watermark_record(origin, inputs, int(watermark.timestamp() * 1000))
            for origin in range(inputs)
        ]
        await self.bus.append(ROLLUPS.name, {number: records for number in range(inputs)})

    async def tenant(self, client: httpx.AsyncClient, key: str, **fields: Any) -> None:
        body = {"name": key.title(), "currency": "USD", "timezone": "UTC", "billing_day": 1}
        answer = await client.put(f"/v1/tenants/{key}", json=body | fields)
        assert answer.status_code == 200, answer.text

    async def plan(
        self, client: httpx.AsyncClient, slug: str, *prices: dict[str, Any], currency: str = "USD"
    ) -> dict[str, Any]:
        """Publish a plan, as soon as its meters are known."""
        body = {
            "name": slug.title(),
            "currency": currency,
            "interval": "month",
            "prices": list(prices),
        }

        async def published() -> dict[str, Any] | None:
            answer = await client.put(f"/v1/plans/{slug}", json=body)
            assert answer.status_code in (200, 503), answer.text
            return answer.json() if answer.status_code == 200 else None

        return await eventually(published, timeout=20)

    async def subscribe(
        self, client: httpx.AsyncClient, tenant: str, plan: str, start: datetime, **more: Any
    ) -> str:
        body = {"tenant": tenant, "plan": plan, "start": text(start)} | more
        answer = await client.post("/v1/subscriptions", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def published_charges(self) -> dict[str, Charge]:
        """The newest version of each charge in billing.charges."""
        newest: dict[str, Charge] = {}
        for message in await self.messages(CHARGES.name):
            if not is_control(message):
                charge = wire.read(Charge, message)
                if charge.id not in newest or charge.version > newest[charge.id].version:
                    newest[charge.id] = charge
        return newest

    async def published_tenant(self, key: str) -> Tenant | None:
        found = None
        for message in await self.messages(TENANTS.name):
            tenant = wire.read(Tenant, message)
            if tenant.key == key and (found is None or tenant.revision > found.revision):
                found = tenant
        return found

    async def has_told(self, watermark: datetime) -> bool:
        """Whether every origin has told at least `watermark` on every partition of the charges."""
        told = await self.told_watermarks()
        partitions = await self.bus.partitions(CHARGES.name)
        wanted = int(watermark.timestamp() * 1000)
        return len(told) == partitions and all(
            len(origins) == partitions and min(origins.values()) >= wanted
            for origins in told.values()
        )

    async def told_watermarks(self) -> dict[int, dict[int, int]]:
        """The highest watermark told on each partition of billing.charges, by origin."""
        told: dict[int, dict[int, int]] = {}
        for message in await self.messages(CHARGES.name):
            mark = watermark_of(message) if is_control(message) else None
            if mark is not None:
                origins = told.setdefault(message.partition, {})
                origins[mark.origin] = max(mark.watermark_ms, origins.get(mark.origin, 0))
        return told

    async def messages(self, topic: str) -> list[Any]:
        """Everything in a topic, partition by partition."""
        found = []
        for partition in range(await self.bus.partitions(topic)):
            at = await self.bus.beginning_offset(topic, partition)
            end = await self.bus.end_offset(topic, partition)
            reader = await self.bus.reader(topic, partition, at)
            try:
                while at < end:
                    read = await reader.read(1000, 5)
                    assert read, f"{topic}/{partition} stops at {at} of {end}"
                    found += read
                    at = read[-1].offset + 1
            finally:
                await reader.close()
        return found


def text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def fee(amount: str, slug: str = "base") -> dict[str, Any]:
    return {"slug": slug, "model": "flat", "amount": amount}


def per_unit(meter: str, unit_amount: str, **more: Any) -> dict[str, Any]:
    return {"slug": meter, "meter": meter, "model": "unit", "unit_amount": unit_amount} | more


async def charges_of(client: httpx.AsyncClient, tenant: str, **params: str) -> list[dict[str, Any]]:
    answer = await client.get("/v1/charges", params={"tenant": tenant} | params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def amounts(client: httpx.AsyncClient, tenant: str, **params: str) -> dict[str, str]:
    """Amounts by price and begin of the period, to the minute."""
    return {
        f"{item['price']} {item['from'][:16]}": item["amount"]
        for item in await charges_of(client, tenant, **params)
    }


TENANT: dict[str, Any] = {
    "name": "Acme",
    "currency": "USD",
    "timezone": "Europe/Berlin",
    "billing_day": 15,
}
PLAN: dict[str, Any] = {"name": "Flat", "currency": "USD", "prices": [fee("49.00")]}


async def put(client: httpx.AsyncClient, path: str, body: Any) -> dict[str, Any]:
    """What a PUT that must succeed answers."""
    answer = await client.put(path, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer that must refuse, with that status and code."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    return problem
