"""One supervisord for each stack: it starts, restarts and stops the processes.

supervisord is the `supervisor` library's; this module writes its configuration and speaks its
XML-RPC over a Unix socket. Every process goes through `stack.launch`, which records it.
"""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from stack import records
from stack.folders import State
from stack.ports import is_free
from stack.program import Program
from stack.readiness import wait_until

OWN_NAME = "supervisord"
SERVERS = frozenset({"kafka", "postgres"})
DEATHS_MAX = 4
"""A program that died so often while its readiness was awaited will not become ready."""
DOWN = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


class StackError(RuntimeError):
    """The stack cannot do what was asked; the message says why and what to do."""


class Supervisor:
    def __init__(self, state: State) -> None:
        self._state = state
        self._configuration = state.root / "supervisord.conf"
        self._changing = threading.Lock()

    # --- supervisord itself ------------------------------------------------------------------

    def is_running(self) -> bool:
        return records.process_of(records.read(self._record(OWN_NAME))) is not None

    def start(self) -> list[str]:
        """Makes sure that supervisord runs; gives the names of processes that an earlier run,
        whose supervisord died, had left behind and that were ended."""
        if self.is_running():
            return []
        self._state.make()
        ended = self.end_recorded()
        for folder, pattern in ((self._state.records, "*"), (self._state.programs, "*.ini")):
            for path in folder.glob(pattern):
                path.unlink()
        self._state.supervisor_socket.unlink(missing_ok=True)
        self._configuration.write_text(self._settings())
        command = [
            *(sys.executable, "-m", "supervisor.supervisord"),
            *("--nodaemon", "--configuration", str(self._configuration)),
        ]
        own = Program(OWN_NAME, tuple(command), self._state.root, self._answers)
        specification = self._state.programs / f"{OWN_NAME}.json"
        specification.write_text(own.specification())
        with (self._state.logs / "supervisord.out").open("ab") as output:
            subprocess.Popen(
                self._launch_command(OWN_NAME),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self._answers, what="supervisord", timeout_seconds=20)
        return ended

    def stop(self) -> None:
        """Stops all processes, the services before the servers they need, then supervisord."""
        if self.is_running():
            with contextlib.suppress(OSError, Fault):
                self.stop_programs(self.states())
                self._rpc().supervisor.shutdown()
            with contextlib.suppress(TimeoutError):
                wait_until(
                    lambda: not self.is_running(), what="end of supervisord", timeout_seconds=10
                )
        self.end_recorded()

    def end_recorded(self) -> list[str]:
        """Ends what the records of this stack name and still runs: the supervisor, which would
        restart the others, then the services, then the servers they need."""
        paths = list(self._state.records.glob("*.json"))
        found = [record for record in map(records.read, paths) if record is not None]
        own = [record for record in found if record.name == OWN_NAME]
        servers = [record for record in found if record.name in SERVERS]
        services = [record for record in found if record not in own + servers]
        ended = [record.name for group in (own, services, servers) for record in records.end(group)]
        for path in paths:
            path.unlink(missing_ok=True)
        return ended

    # --- its programs ------------------------------------------------------------------------

    def ensure(self, program: Program) -> bool:
        """Starts the program unless it runs already as specified. True when it was started."""
        with self._changing:
            return self._ensure(program)

    def _ensure(self, program: Program) -> bool:
        specification = self._state.programs / f"{program.name}.json"
        text = program.specification()
        running = self.states().get(program.name, "STOPPED") not in DOWN
        if running and specification.exists() and specification.read_text() == text:
            return False
        if running:
            self.stop_programs([program.name])
        for port in program.ports:
            if not is_free(port):
                raise StackError(
                    f"port {port}, which {program.name} needs, is taken by another process; "
                    "free it or set TOLLGATE_BASE_PORT"
                )
        specification.write_text(text)
        (self._state.programs / f"{program.name}.ini").write_text(self._section(program))
        rpc = self._rpc()
        added, changed, removed = rpc.supervisor.reloadConfig()[0]
        for name in {*changed, *removed}:
            if name not in added:
                self.stop_programs([name])
                rpc.supervisor.removeProcessGroup(name)
        for name in {*added, *changed}:
            rpc.supervisor.addProcessGroup(name)
        rpc.supervisor.startProcess(program.name, False)
        return True

    def wait_ready(self, program: Program) -> None:
        """Waits until the program serves; StackError with the end of its log when it does not."""

        lives: set[int] = set()

        def gave_up() -> str | None:
            state = self.states().get(program.name)
            record = self.record_of(program.name)
            if record is not None:
                lives.add(record.pid)
            if len(lives) > DEATHS_MAX:
                return f"its process died {DEATHS_MAX} times"
            ended = ("FATAL",) if program.restart else ("FATAL", "EXITED")
            return f"its process is {state}" if state is None or state in ended else None

        try:
            wait_until(
                program.is_ready,
                what=f"{program.name} is not ready",
                timeout_seconds=program.start_seconds,
                give_up=gave_up,
            )
        except TimeoutError as error:
            log = self.log_of(program.name)
            raise StackError(f"{error}\nend of {log}:\n{tail(log, lines=25)}") from error

    def states(self) -> dict[str, str]:
        """supervisord's state (RUNNING, BACKOFF, FATAL, ...) of every program it knows."""
        if not self.is_running():
            return {}
        return {
            each["name"]: each["statename"] for each in self._rpc().supervisor.getAllProcessInfo()
        }

    def stop_programs(self, names: "list[str] | dict[str, str]") -> None:
        """Stops the programs, services first and then servers, each set at once."""
        rpc = self._rpc()
        for wanted in (set(names) - SERVERS, set(names) & SERVERS):
            for name in wanted:
                try:
                    rpc.supervisor.stopProcess(name, False)
                except Fault:
                    continue  # it was not running
            wait_until(
                lambda wanted=wanted: all(  # type: ignore[misc]
                    self.states().get(name, "STOPPED") in DOWN for name in wanted
                ),
                what=f"end of {', '.join(sorted(wanted))}",
                timeout_seconds=40,
            )

    def record_of(self, name: str) -> records.ProcessRecord | None:
        return records.read(self._record(name))

    def log_of(self, name: str) -> Path:
        return self._state.logs / f"{name}.log"

    # --- configuration -----------------------------------------------------------------------

    def _record(self, name: str) -> Path:
        return self._state.records / f"{name}.json"

    def _launch_command(self, name: str) -> list[str]:
        specification = self._state.programs / f"{name}.json"
        return [sys.executable, "-m", "stack.launch", str(specification), str(self._record(name))]

    def _settings(self) -> str:
        # Paths are relative to the state folder, where supervisord runs: it splits some values at
        # spaces, and its escape for % does not hold everywhere.
        return "\n".join(
            (
                "[unix_http_server]",
                f"file={str(self._state.supervisor_socket).replace('%', '%%')}",
                "chmod=0700",
                "[supervisord]",
                "logfile=logs/supervisord.log",
                "logfile_maxbytes=5MB",
                "logfile_backups=1",
                "pidfile=supervisord.pid",
                "minfds=1024",
                "[rpcinterface:supervisor]",
                "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
                "[include]",
                "files=programs/*.ini",
                "",
            )
        )

    def _section(self, program: Program) -> str:
        command = " ".join(f'"{part}"' for part in self._launch_command(program.name))
        return "\n".join(
            (
                f"[program:{program.name}]",
                f"command={command.replace('%', '%%')}",
                f"autorestart={'true' if program.restart else 'false'}",
                "autostart=false",
                "startsecs=1",
                f"startretries={30 if program.restart else 0}",
                f"stopsignal={program.stop_signal}",
                f"stopwaitsecs={program.stop_seconds}",
                "killasgroup=true",
                f"priority={program.priority}",
                "redirect_stderr=true",
                f"stdout_logfile=logs/{program.name}.log",
                "stdout_logfile_maxbytes=20MB",
                "stdout_logfile_backups=2",
                "",
            )
        )

    def _rpc(self) -> Any:
        address = f"unix://{self._state.supervisor_socket}"
        return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, address))

    def _answers(self) -> bool:
        try:
            return bool(self._rpc().supervisor.getState()["statename"] == "RUNNING")
        except (OSError, Fault):
            return False


def tail(path: Path, *, lines: int) -> str:
    """The last lines of a log, or a sentence when there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
