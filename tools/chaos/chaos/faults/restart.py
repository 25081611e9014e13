"""A rolling restart of everything, as a release would do it."""

import asyncio
import signal

from chaos import cast
from chaos.faults.contract import Missed
from chaos.schedule import Planned
from chaos.site import Site


class RollingRestart:
    """The first process of every service at once, then the second, each gracefully; then the
    servers, one after the other."""

    def __init__(self, site: Site, planned: Planned) -> None:
        self._site = site

    async def begin(self) -> None:
        if self._site.is_rolling:
            raise Missed("the last rolling restart is still under way")
        self._site.is_rolling = True
        try:
            await self._roll()
        finally:
            self._site.is_rolling = False

    async def _roll(self) -> None:
        for wave in ("-1", "-2"):
            names = [each.name for each in cast.TWINS if each.name.endswith(wave)]
            await asyncio.gather(*(self._site.restart(name) for name in names))
        await self._site.restart("postgres", signal.SIGINT)
        await self._site.restart("kafka")

    async def heal(self) -> None:
        """There is nothing to take back."""
