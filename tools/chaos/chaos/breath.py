"""Faults fall on a system that works: one that is down already cannot be broken.

While nothing of what was sent lately is visible, by whatever path, the schedule waits. How lately
depends on how long an event takes undisturbed, for a busy machine takes long to do anything.
"""

import contextlib
import time

from chaos.load.probes import Sightings
from chaos.recovery import baseline
from chaos.waiting import until

LATELY_SECONDS = 20.0
PAUSE_SECONDS = 60.0
"""The longest wait before one fault."""


class Breath:
    """Made before the first fault. All waits together take at most `budget_seconds`."""

    def __init__(self, sightings: Sightings, budget_seconds: float) -> None:
        self._sightings = sightings
        self._left_seconds = budget_seconds
        undisturbed = baseline(sightings, time.time()) or 0.0
        self._lately_seconds = max(LATELY_SECONDS, 3 * undisturbed)

    async def take(self) -> None:
        """Returns when something sent lately is visible, or when it was waited for long enough."""
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            seconds = min(PAUSE_SECONDS, self._left_seconds)
            await until(self._works, "signs of life", seconds=seconds)
        self._left_seconds -= min(self._left_seconds, time.monotonic() - began)

    async def _works(self) -> bool:
        since = time.time() - self._lately_seconds
        return any(
            (number := self._sightings.visible(path)) and sent[number - 1] >= since
            for path, sent in self._sightings.sent.items()
        )
