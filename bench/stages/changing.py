"""Rating while many subscriptions change: how long from usage to its charge, and how much memory.

So many subscriptions are filled in, and every second the usage of the next ones changes, until each
has changed once. The clock of a change begins when its rollup is handed to Kafka and ends when its
charge is read from `billing.charges`; both are outside of rating.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bench.billing import SMALL_PLAN, plan_in_bulk, subscribe_in_bulk, until_rated
from bench.contract import About, Measurement, Repetition
from bench.site import Ground, Meter, Site
from common.contracts import wire
from common.contracts.charges import Charge
from common.contracts.control import is_control
from common.contracts.rollups import Aggregate, Rollup, rollup_record
from common.contracts.topics import CHARGES, ROLLUPS

SUBSCRIPTIONS: Mapping[str, int] = {"full": 100_000, "quick": 5_000, "tiny": 40}
PER_SECOND: Mapping[str, int] = {"full": 1_000, "quick": 500, "tiny": 20}
PATIENCE_SECONDS = 120


class Changing:
    """One process, the rating worker; the rate is given, so the latency is the figure."""

    abouts = (
        About(
            name="rating.changing",
            family="stages",
            unit="subscription",
            what="subscriptions whose usage changes at a steady rate, from rollup to charge",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        tenants = [f"changing-{n}" for n in range(SUBSCRIPTIONS[site.scale.name])]
        share = len(tenants) // (site.scale.repetitions + 1)
        async with site.ground("changing", ["rating"]) as ground:
            start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            await plan_in_bulk(ground, "changing", SMALL_PLAN)
            await subscribe_in_bulk(ground, tenants, start - timedelta(days=1), plan="changing")
            await ground.start("rating")
            await until_rated(ground)

            async def measure(number: int) -> Mapping[str, Measurement]:
                some = tenants[number * share :][:share]
                return {"rating.changing": await Run(ground, start, number + 1).measure(site, some)}

            yield measure


@dataclass
class Run:
    """One time through tenants of the repetition's own; `amount` is what each has used after it."""

    ground: Ground
    hour: datetime
    amount: int
    sent: dict[str, float] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    all_charged: asyncio.Event = field(default_factory=asyncio.Event)

    async def measure(self, site: Site, tenants: list[str]) -> Measurement:
        per_second = PER_SECOND[site.scale.name]
        reading = [
            asyncio.create_task(self._read(partition))
            for partition in range(await self.ground.bus.partitions(CHARGES.name))
        ]
        meter = Meter(site)
        for number, begin in enumerate(range(0, len(tenants), per_second)):
            await asyncio.sleep(max(0.0, meter.began + number - time.perf_counter()))
            await self._use(tenants[begin : begin + per_second])
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.all_charged.wait()
        seconds, cpu = meter.seconds(), meter.cpu_seconds()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return Measurement(
            units=len(tenants),
            seconds=seconds,
            cpu_seconds=cpu,
            latencies_ms={"charge": self.latencies_ms},
            rss_bytes=meter.rss_bytes(),
            faults=[f"{len(self.sent)} changes without a charge"] if self.sent else [],
        )

    async def _use(self, tenants: list[str]) -> None:
        """Hands over a rollup of each, in one append."""
        partitions = await self.ground.bus.partitions(ROLLUPS.name)
        batches: dict[int, list[Any]] = {}
        for tenant in tenants:
            rollup = Rollup(
                tenant=tenant,
                meter="requests",
                aggregation="count",
                unit="request",
                group={},
                hour=self.hour,
                shard=0,
                version=self.amount,
                value=Aggregate(count=self.amount),
            )
            partition, record = rollup_record(rollup, partitions)
            batches.setdefault(partition, []).append(record)
        now = time.perf_counter()
        self.sent.update(dict.fromkeys(tenants, now))
        self.all_charged.clear()
        await self.ground.bus.append(ROLLUPS.name, batches)

    async def _read(self, partition: int) -> None:
        """Follows a partition of the charges from where it ends now."""
        bus = self.ground.bus
        end = await bus.end_offset(CHARGES.name, partition)
        reader = await bus.reader(CHARGES.name, partition, end)
        try:
            while True:
                for message in await reader.read(1000, 0.5):
                    if not is_control(message):
                        self._note(wire.read(Charge, message))
        finally:
            await reader.close()

    def _note(self, charge: Charge) -> None:
        if charge.meter is None or charge.quantity != Decimal(self.amount):
            return
        sent = self.sent.pop(charge.tenant, None)
        if sent is not None:
            self.latencies_ms.append((time.perf_counter() - sent) * 1000)
        if not self.sent:
            self.all_charged.set()
