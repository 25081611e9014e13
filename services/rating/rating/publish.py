"""Publishes tenants with their subscriptions to catalog.tenants."""

import asyncpg

from common.bus.types import Bus
from common.contracts.topics import TENANTS
from common.stream.outbox import Outbox
from rating.store import SCHEMA, tenants


def tenants_outbox(pool: asyncpg.Pool, bus: Bus, worker: str, lease_seconds: float) -> Outbox:
    """The publisher of tenants, by the revision of their last change."""
    return Outbox(
        pool=pool,
        bus=bus,
        schema=SCHEMA,
        name=TENANTS.name,
        topic=TENANTS,
        fetch=tenants.to_publish,
        worker=worker,
        lease_seconds=lease_seconds,
        every_seconds=0.1,
    )
