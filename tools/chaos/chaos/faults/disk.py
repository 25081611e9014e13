"""A collector's disk is full, to the last byte."""

import asyncio

from chaos.schedule import Planned
from chaos.site import Site


class FullDisk:
    def __init__(self, site: Site, planned: Planned) -> None:
        self._disk = site.spools[planned.target]

    async def begin(self) -> None:
        await asyncio.to_thread(self._disk.fill)

    async def heal(self) -> None:
        await asyncio.to_thread(self._disk.free)
