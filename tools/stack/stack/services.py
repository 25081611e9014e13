"""The product's processes under a stack's supervisor: started, awaited, killed by recorded id."""

import signal
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stack import records
from stack.environment import Surroundings, process_environment
from stack.folders import CHECKOUT
from stack.processes import PROCESSES, Process, process
from stack.program import Program
from stack.readiness import http_answers, wait_until
from stack.servers import Say
from stack.supervisor import StackError, Supervisor


def program(each: Process, around: Surroundings, extra: Mapping[str, str]) -> Program:
    """The process as a program; `extra` adds to its environment or overrides it."""
    port = around.ports.service(each.offset)
    return Program(
        name=each.name,
        command=(str(Path(sys.executable).parent / each.script), each.command),
        folder=CHECKOUT,
        environment=process_environment(each, around) | dict(extra),
        is_ready=lambda: http_answers(f"http://127.0.0.1:{port}/readyz"),
        ports=(port,),
        start_seconds=90,
    )


def start(
    supervisor: Supervisor,
    around: Surroundings,
    *,
    names: Collection[str] | None = None,
    extra: Mapping[str, Mapping[str, str]] | None = None,
    say: Say = print,
) -> list[str]:
    """Starts the processes that do not run yet and returns, when all are ready, which those were.

    `names`: only these processes. `extra`: more environment, by process name. A process whose
    environment has changed since its start is restarted.
    """
    extra = extra or {}
    around.folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        program(each, around, extra.get(each.name, {}))
        for each in PROCESSES
        if names is None or each.name in names
    ]
    started = [each.name for each in wanted if supervisor.ensure(each)]
    if started:
        say(f"services: starting {', '.join(started)}")
    with ThreadPoolExecutor(max_workers=len(wanted) or 1) as together:
        list(together.map(supervisor.wait_ready, wanted))
    return started


def kill(supervisor: Supervisor, name: str) -> int:
    """SIGKILL to the process, by its recorded id, which is returned. The supervisor restarts it."""
    return records.send_signal(supervisor.record_of(name), signal.SIGKILL)


def wait_restarted(
    supervisor: Supervisor, name: str, killed: int, *, base_url: str, timeout_seconds: float = 60
) -> int:
    """Waits until another process than `killed` runs and is ready; its id."""

    def is_back() -> bool:
        record = supervisor.record_of(name)
        return (
            record is not None
            and record.pid != killed
            and records.process_of(record) is not None
            and http_answers(f"{base_url}/readyz")
        )

    try:
        wait_until(is_back, what=f"restart of {name}", timeout_seconds=timeout_seconds)
    except TimeoutError as error:
        raise StackError(str(error)) from error
    record = supervisor.record_of(name)
    assert record is not None
    return record.pid


def address(around: Surroundings, name: str) -> str:
    """The base URL of a process."""
    return f"http://127.0.0.1:{around.ports.service(process(name).offset)}"
