"""SIGKILL of a process; the supervisor starts the next one at once."""

import signal

from chaos.faults.contract import Missed
from chaos.schedule import Planned
from chaos.site import Site


class Kill:
    """`postgres` gets SIGQUIT, which is its immediate shutdown: no checkpoint, recovery at the next
    start. SIGKILL of its first process alone would leave the others on the same memory."""

    def __init__(self, site: Site, planned: Planned) -> None:
        self._site, self._name = site, planned.target

    async def begin(self) -> None:
        number = signal.SIGQUIT if self._name == "postgres" else signal.SIGKILL
        if self._site.send(self._name, number) is None:
            raise Missed(f"{self._name} is down")

    async def heal(self) -> None:
        """The supervisor has done it."""
