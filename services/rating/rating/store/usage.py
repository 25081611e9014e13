"""What rating reads usage from: its tables of hours, slots and days, and the levels of gauges."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from common.usage import Place, UsageProjection
from rating.parts.usage import Levels
from rating.store import SCHEMA
from rating.store.levels import levels


class StoredUsage(UsageProjection):
    """The projection of usage.rollups in rating's schema."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, days=True)

    async def levels(self, connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
        """How long the levels of each place were held, in order, in one query."""
        return await levels(connection, places, now)
