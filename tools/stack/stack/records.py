"""Which process was started as what: the only ground on which the stack ends a process.

A record holds the process id and the time the process began. A process with the same id that began
at another time is someone else's and is never touched; a name alone never identifies anything.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

START_TIME_TOLERANCE_SECONDS = 2.0
"""The kernel's boot time, from which start times are computed, moves when the clock is stepped."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One started process. `created` is in seconds since the epoch, as psutil tells it."""

    name: str
    pid: int
    created: float
    command: tuple[str, ...]


def write_own(path: Path, name: str, command: Iterable[str]) -> None:
    """Records the calling process, which is about to become `command` by exec (same id)."""
    me = psutil.Process()
    record = ProcessRecord(name, me.pid, me.create_time(), tuple(command))
    temporary = path.with_suffix(f".{me.pid}")
    temporary.write_text(json.dumps(asdict(record)))
    temporary.replace(path)


def read(path: Path) -> ProcessRecord | None:
    """The record, or None when there is none or it was cut off."""
    try:
        found = json.loads(path.read_text())
        return ProcessRecord(
            found["name"], int(found["pid"]), float(found["created"]), tuple(found["command"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def process_of(record: ProcessRecord | None) -> psutil.Process | None:
    """The living process that the record speaks of, or None when it has ended."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) < START_TIME_TOLERANCE_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.Error:
        pass
    return None


def end(recorded: Iterable[ProcessRecord], *, patience_seconds: float = 8.0) -> list[ProcessRecord]:
    """Ends the recorded processes at once (TERM, then KILL); gives those that had been running."""
    running = [(record, process_of(record)) for record in recorded]
    processes = [process for _, process in running if process is not None]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=patience_seconds)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=patience_seconds)
    return [record for record, process in running if process is not None]


def send_signal(record: ProcessRecord | None, number: signal.Signals) -> int:
    """Signals the recorded process and gives its id; ProcessLookupError when it has ended."""
    process = process_of(record)
    if process is None or record is None:
        raise ProcessLookupError(f"{record.name if record else 'process'} is not running")
    os.kill(record.pid, number)
    return record.pid
