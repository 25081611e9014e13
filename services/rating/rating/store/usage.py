"""What rating reads usage from: its tables of hours, slots and days, and the levels of gauges."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from common.usage import Place, UsageProjection
from rating.parts.usage import HeldLevel, Levels
from rating.store import SCHEMA
from rating.store.levels import LevelKey, held_levels, levels


class StoredUsage(UsageProjection):
    """The projection of usage.rollups in rating's schema."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, days=True)

    async def levels(self, connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
        """How long the levels of each place were held, in order, in one query."""
        return await levels(connection, places, now)

    async def held_levels(
        self, connection: Any, place: Place, until: datetime, after: LevelKey | None, limit: int
    ) -> list[HeldLevel]:
        """Up to `limit` levels that a place's unit-seconds up to `until` are made of, by group and
        time, from behind `after`."""
        return await held_levels(connection, place, until, after, limit)
