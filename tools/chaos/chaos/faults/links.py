"""A link that is cut, silent, deaf or slow. The states are explained in `chaos.link`."""

from chaos.link import Mode
from chaos.schedule import Planned
from chaos.site import Site


class Disturb:
    """`detail`: `mode`, and `delay_seconds` of a slow one. Where two faults meet on one link the
    later one holds, and whoever is over first opens the link."""

    def __init__(self, site: Site, planned: Planned) -> None:
        self._link = site.links[planned.target]
        self._mode: Mode = planned.detail["mode"]
        self._delay_seconds = float(planned.detail.get("delay_seconds", 0))

    async def begin(self) -> None:
        self._link.set(self._mode, delay_seconds=self._delay_seconds)

    async def heal(self) -> None:
        if self._link.mode == self._mode:
            self._link.set("open")
