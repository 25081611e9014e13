"""SIGKILL to the parts that count, while they count."""

import signal
import threading
import time
from dataclasses import dataclass, field

from demo.progress import say
from stack import records
from stack.readiness import wait_until
from stack.supervisor import Supervisor


@dataclass
class Killer:
    """Kills each of `victims` (seconds after the start, process name) once, in the background,
    and waits for it to come back. `recovered` tells how many seconds each was away."""

    supervisor: Supervisor
    victims: tuple[tuple[float, str], ...]
    recovered: dict[str, float] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin the count-down."""
        for after_seconds, name in self.victims:
            thread = threading.Thread(target=self._kill, args=(after_seconds, name), daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Wait until every victim is back; raises when one is not."""
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise RuntimeError("; ".join(self._failures))

    def _kill(self, after_seconds: float, name: str) -> None:
        time.sleep(after_seconds)
        before = self.supervisor.record_of(name)
        pid = records.send_signal(before, signal.SIGKILL)
        say(f"[red]SIGKILL[/red] {name} (pid {pid})")
        began = time.monotonic()

        def is_back() -> bool:
            now = self.supervisor.record_of(name)
            return now is not None and now != before and records.process_of(now) is not None

        try:
            wait_until(is_back, what=f"{name} back", timeout_seconds=30)
        except TimeoutError as error:
            self._failures.append(str(error))
            return
        self.recovered[name] = time.monotonic() - began
        say(f"{name} was started again after {self.recovered[name]:.1f} s")
