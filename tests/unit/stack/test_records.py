"""A process is ended only when the record speaks of that very process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stack import records

SLEEPER = "import signal; print('up', flush=True); signal.pause()"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.wait()


def record_of(process: "subprocess.Popen[str]") -> records.ProcessRecord:
    created = records.psutil.Process(process.pid).create_time()
    return records.ProcessRecord("sleeper", process.pid, created, (sys.executable,))


def test_a_recorded_process_is_found_and_ended(sleeper: "subprocess.Popen[str]") -> None:
    record = record_of(sleeper)
    assert records.process_of(record) is not None
    assert records.end([record]) == [record]
    assert not records.psutil.pid_exists(sleeper.pid)
    assert records.process_of(record) is None
    assert records.end([record]) == []


def test_a_process_that_took_over_the_id_is_left_alone(sleeper: "subprocess.Popen[str]") -> None:
    stale = replace(record_of(sleeper), created=record_of(sleeper).created - 3600)
    assert records.process_of(stale) is None
    assert records.end([stale]) == []
    with pytest.raises(ProcessLookupError):
        records.send_signal(stale, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_dead_process_waiting_to_be_reaped_does_not_run(
    sleeper: "subprocess.Popen[str]",
) -> None:
    record = record_of(sleeper)
    sleeper.kill()
    while records.psutil.Process(sleeper.pid).status() != records.psutil.STATUS_ZOMBIE:
        pass
    assert records.process_of(record) is None


def test_a_record_survives_its_file_and_a_torn_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "me.json"
    records.write_own(path, "me", ["python", "-m", "x"])
    record = records.read(path)
    assert record is not None
    assert (record.name, record.command) == ("me", ("python", "-m", "x"))
    assert records.process_of(record) is not None
    path.write_text(path.read_text()[:20])
    assert records.read(path) is None
    assert records.read(tmp_path / "none.json") is None
