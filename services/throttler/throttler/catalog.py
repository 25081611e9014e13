"""Follows catalog.tenants into the throttler's own table, so that steps read it in SQL."""

import asyncio
import logging

import asyncpg

from common.bus.follow import Follower
from common.bus.types import Bus
from common.contracts import wire
from common.contracts.tenants import Tenant
from common.contracts.topics import TENANTS
from common.stream.processor import LOST
from throttler import store

log = logging.getLogger(__name__)


class TenantProjection:
    """Runs in every worker process; the table keeps the higher revision, so twice is once."""

    def __init__(self, pool: asyncpg.Pool, bus: Bus) -> None:
        self._pool = pool
        # The newest definition of each tenant that is not in the table yet: bounded by tenants.
        self._pending: dict[str, Tenant] = {}
        self._arrived = asyncio.Event()
        self._follower = Follower(bus, TENANTS, lambda data: wire.decode(Tenant, data), self._take)

    @property
    def is_ready(self) -> bool:
        """Whether what was in the topic at the start has been read and written."""
        return self._follower.is_ready and not self._pending

    async def run(self) -> None:
        """Follow until cancelled; survives a broker or a database that goes away."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run())
            group.create_task(self._write())

    def _take(self, key: str, tenant: Tenant | None) -> None:
        if tenant is not None:
            self._pending[key] = tenant
            self._arrived.set()

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch = dict(self._pending)
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    await store.upsert_tenants(connection, [batch[key] for key in sorted(batch)])
            except LOST as error:
                log.warning("writing tenants: %r; trying again", error)
                await asyncio.sleep(1)
                self._arrived.set()
                continue
            for key, tenant in batch.items():
                if self._pending.get(key) is tenant:
                    del self._pending[key]
