"""The servers of one test session: running ones that the environment names, or ones started here.

TOLLGATE_TEST_KAFKA (host:port) and TOLLGATE_TEST_POSTGRES (a superuser's DSN) name running ones.
Otherwise a stack of its own is started under .stack/test/<pid> on ports of its own, and stopped
with the session; what a session that was killed left behind is ended by the next one.
"""

import os
import shutil
import sys
from pathlib import Path

from stack import records
from stack.folders import CHECKOUT, State
from stack.lifecycle import Stack
from stack.ports import free_base
from stack.servers import Servers

SESSIONS = CHECKOUT / ".stack" / "test"


class SessionServers:
    """Starts each server when a test first asks for it."""

    def __init__(self) -> None:
        self.folder = SESSIONS / str(os.getpid())
        self.given_kafka = os.environ.get("TOLLGATE_TEST_KAFKA", "")
        self.given_postgres = os.environ.get("TOLLGATE_TEST_POSTGRES", "")
        self.log: list[str] = []
        self._stack: Stack | None = None
        self._started: dict[str, Servers] = {}

    def kafka(self) -> str:
        """The bootstrap address of a broker that answers."""
        return self.given_kafka or self._part("kafka").kafka

    def postgres(self) -> str:
        """The DSN of a superuser on a server that answers."""
        return self.given_postgres or self._part("postgres").postgres

    @property
    def kafka_is_real(self) -> bool:
        return bool(self.given_kafka) or self._part("kafka").choice.kafka != "embedded"

    @property
    def choice_is_native(self) -> bool | None:
        """Whether the servers that were started are the real ones; None when none was started."""
        if not self._started:
            return None
        return all(servers.choice.is_native for servers in self._started.values())

    def stop(self) -> None:
        if self._stack is not None:
            self._stack.clean()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, part: str) -> Servers:
        if part not in self._started:
            if self._stack is None:
                end_killed_sessions()
                self.folder.mkdir(parents=True, exist_ok=True)
                records.write_own(self.folder / "session.json", "pytest", sys.argv)
                self._stack = Stack(State(self.folder / "stack"), free_base())
            self._started[part] = self._stack.start_servers(parts=[part], say=self.log.append)
        return self._started[part]


def end_killed_sessions(sessions: Path = SESSIONS) -> None:
    """Ends the processes of test sessions whose pytest is gone, and removes their folders."""
    for folder in sessions.glob("*"):
        if records.process_of(records.read(folder / "session.json")) is None:
            for path in (folder / "processes").glob("*.record"):
                record = records.read(path)
                if record is not None:
                    records.end([record])
            Stack(State(folder / "stack"), free_base()).clean()
            shutil.rmtree(folder, ignore_errors=True)
