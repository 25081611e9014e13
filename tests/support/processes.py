"""A service as a process of its own, for tests that kill it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stack.folders import CHECKOUT
from stack.ports import free_port
from stack.program import Program
from stack.readiness import http_answers
from stack.supervisor import tail


class ServiceProcess:
    """One run of a console script, such as `tollgate-ingest api`, on a free port.

    Its name is its TOLLGATE_WORKER_ID unless the environment says otherwise, so that a restarted
    process takes its own leases back. Output goes to `log`.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, name: str
    ) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._specification = folder / f"{name}.json"
        self._record = folder / f"{name}.record"
        script, *arguments = command
        program = Program(
            name=name,
            command=(str(Path(sys.executable).parent / script), *arguments),
            folder=CHECKOUT,
            is_ready=lambda: True,
            environment={
                "TOLLGATE_HOST": "127.0.0.1",
                "TOLLGATE_WORKER_ID": name,
                **environment,
                "TOLLGATE_PORT": str(self.port),
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._specification.write_text(program.specification())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProcessLookupError(f"{self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self, *, ready: bool = True, timeout: float = 60) -> "ServiceProcess":
        """Starts the process; with `ready`, returns when /readyz answers 200."""
        assert not self.is_running, f"{self.name} runs already"
        self._process = self._spawn()
        if ready:
            await self.wait_ready(timeout)
        return self

    async def wait_ready(self, timeout: float = 60) -> None:
        """Waits for /readyz; AssertionError with the end of the log when the process ends first
        or stays unready."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not await asyncio.to_thread(http_answers, f"{self.url}/readyz"):
            log = f"; its log ends:\n{tail(self.log, lines=40)}"
            assert self.is_running, f"{self.name} is gone{log}"
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"{self.name} is not ready{log}"
            await asyncio.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal (SIGSTOP, SIGCONT, ...) to the process."""
        assert self.is_running, f"{self.name} does not run"
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        await self._end(signal.SIGKILL, 10)

    async def stop(self, timeout: float = 30) -> int:
        """SIGTERM; the exit code. SIGKILL (code -9) when it takes longer than `timeout` seconds."""
        try:
            return await self._end(signal.SIGTERM, timeout)
        except subprocess.TimeoutExpired:
            return await self._end(signal.SIGKILL, 10)

    async def restart(self) -> None:
        """Stops the process cleanly and starts it again on the same port."""
        await self.stop()
        await self.start()

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "stack.launch"]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [*command, str(self._specification), str(self._record)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def _end(self, number: signal.Signals, timeout: float) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, timeout)
