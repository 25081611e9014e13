"""The clock of one process is wrong: it is killed, and lives on with a shifted one.

The shift stays below the five minutes by which an event may lie in the future: a collector or an
ingest API further off refuses usage that is right, which is what it should do. Monotonic clocks
stay true, as they do on a host whose clock is stepped.
"""

import signal
from pathlib import Path

from chaos.schedule import Planned
from chaos.site import Site
from stack import debian
from stack.supervisor import StackError

PACKAGE = "libfaketime"
SHIFTS_SECONDS = (-230, -90, -15, 15, 90, 230)


def library() -> Path | None:
    """libfaketime, if it is installed."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def provide() -> str | None:
    """Installs the library from Debian if it is missing; why that cannot be, or None."""
    if library() is None:
        try:
            debian.install([PACKAGE])
        except (StackError, OSError) as error:
            return str(error)
    return None if library() is not None else f"{PACKAGE} brings no library"


class WrongClock:
    """`detail`: `shift_seconds`."""

    def __init__(self, site: Site, planned: Planned) -> None:
        self._site, self._name = site, planned.target
        self._shift = int(planned.detail["shift_seconds"])

    async def begin(self) -> None:
        self._site.set_environment(
            self._name,
            {
                "LD_PRELOAD": str(library()),
                "FAKETIME": f"{self._shift:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_NO_CACHE": "1",
            },
        )
        self._site.send(self._name, signal.SIGKILL)

    async def heal(self) -> None:
        self._site.set_environment(self._name, {})
        self._site.send(self._name, signal.SIGKILL)
