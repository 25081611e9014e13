"""SIGSTOP for longer than a lease, then SIGCONT: the owner that wakes up as a zombie."""

import signal

from chaos.faults.contract import Missed
from chaos.schedule import Planned
from chaos.site import Site


class Freeze:
    def __init__(self, site: Site, planned: Planned) -> None:
        self._site, self._name = site, planned.target

    async def begin(self) -> None:
        if self._site.send(self._name, signal.SIGSTOP) is None:
            raise Missed(f"{self._name} is down")

    async def heal(self) -> None:
        self._site.send(self._name, signal.SIGCONT)
