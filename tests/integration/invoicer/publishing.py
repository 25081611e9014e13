"""The other side of the topics: what rating emits, and what the invoicer publishes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from common.bus.kafka import KafkaBus
from common.contracts.charges import Charge, charge_record
from common.contracts.control import watermark_record
from common.contracts.invoices import InvoiceChange
from common.contracts.tenants import Tenant, tenant_record
from common.contracts.topics import CHARGES, INVOICES, TENANTS, partition_for
from common.contracts.wire import decode
from tests.unit.invoicer.charging import charge

AHEAD_MS = int(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1000)
TRACEPARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
THROUGH = "2026-11-01T00:00:00Z"
"""An end that has passed whenever these tests run; charges here end by then."""
ENDED = datetime(2026, 11, 1, tzinfo=UTC)


def ended(id: str, amount: str = "12.34", **fields: Any) -> Charge:
    """A charge of October, in UTC."""
    return charge(id, amount, period_from=ENDED - timedelta(days=31), period_to=ENDED, **fields)


class Rating:
    """Publishes as rating does, and reads as everybody may."""

    def __init__(self, bus: KafkaBus) -> None:
        self.bus = bus

    async def publish(self, *charges: Charge) -> None:
        """Rating emits charges."""
        partitions = await self.bus.partitions(CHARGES.name)
        batches: dict[int, list[Any]] = {}
        for one in charges:
            partition, record = charge_record(one, partitions, (TRACEPARENT,))
            batches.setdefault(partition, []).append(record)
        await self.bus.append(CHARGES.name, batches)

    async def tell_watermark(self, watermark_ms: int = AHEAD_MS) -> None:
        """Rating says that everything received before then has become charges."""
        partitions = await self.bus.partitions(CHARGES.name)
        record = watermark_record(0, 1, watermark_ms)
        await self.bus.append(CHARGES.name, {p: [record] for p in range(partitions)})

    async def define(self, *tenants: Tenant) -> None:
        """Rating publishes tenants."""
        partitions = await self.bus.partitions(TENANTS.name)
        batches: dict[int, list[Any]] = {}
        for tenant in tenants:
            batches.setdefault(partition_for(tenant.key, partitions), []).append(
                tenant_record(tenant)
            )
        await self.bus.append(TENANTS.name, batches)

    async def changes(self) -> list[InvoiceChange]:
        """What billing.invoices holds."""
        found = []
        for partition in range(await self.bus.partitions(INVOICES.name)):
            end = await self.bus.end_offset(INVOICES.name, partition)
            reader = await self.bus.reader(INVOICES.name, partition, 0)
            position = 0
            while position < end:
                for message in await reader.read(100, 1):
                    position = message.offset + 1
                    assert message.value is not None
                    found.append(decode(InvoiceChange, message.value))
            await reader.close()
        return sorted(found, key=lambda change: change.revision)
