"""The aggregator with twice as many processes, and with half as many."""

import asyncio

from chaos import cast
from chaos.schedule import Planned
from chaos.site import Site


class Twice:
    def __init__(self, site: Site, planned: Planned) -> None:
        self._site = site

    async def begin(self) -> None:
        await asyncio.gather(*(self._site.run_spare(each.name) for each in cast.SPARES))

    async def heal(self) -> None:
        await asyncio.gather(*(self._site.stop_process(each.name) for each in cast.SPARES))


class Half:
    """One of the two stops, gracefully, and comes back when the fault is over."""

    def __init__(self, site: Site, planned: Planned) -> None:
        self._site, self._name = site, planned.target

    async def begin(self) -> None:
        await self._site.stop_process(self._name)

    async def heal(self) -> None:
        await self._site.run_again(self._name)
