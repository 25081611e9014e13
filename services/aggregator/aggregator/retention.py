"""Forgets what its retention has ended for; any process may, as often as it likes."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from aggregator.settings import Settings
from aggregator.store import unreadable

log = logging.getLogger(__name__)
EVERY_SECONDS: Final = 3600.0


class Retention:
    """Once an hour, for as long as the process runs."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Forget until `stop`; a database that is away only delays it."""
        while not self._stopping.is_set():
            try:
                await self.forget(datetime.now(UTC))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("retention: %r; trying again", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._stopping.wait()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    async def forget(self, now: datetime) -> None:
        """End the retention of what is older than the settings allow at `now`."""
        unreadable_days = timedelta(days=self._settings.unreadable_retention_days)
        await unreadable.forget(self._pool, now - unreadable_days)
        if self._settings.slot_retention_days:
            slot_days = timedelta(days=self._settings.slot_retention_days)
            await unreadable.forget_slots(self._pool, now - slot_days)
