"""`make chaos` in short: twenty faults on all services and servers, then everything is counted.

It runs as users run it, as a process of its own with servers of its own, because it kills them.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack import choice, machine, records
from stack.folders import CHECKOUT
from stack.supervisor import StackError
from tests.support.eventually import eventually

SEED = 7
MINUTES = 0.75
FAULTS = 20
LIMIT_SECONDS = 900
"""Far more than it takes; a machine that is busy with other things starts processes slowly."""


@pytest.fixture
def native() -> None:
    """Chaos restarts Kafka, which the embedded broker cannot do."""
    try:
        choice.choose(machine.look(), choice.parse_wanted("kafka:native"))
    except StackError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a run keeps everything. Nothing of it may run afterwards."""
    yield tmp_path / "chaos"
    left = [record for record in recorded(tmp_path / "chaos") if records.process_of(record)]
    assert not records.end(left), "a run left processes behind"


def recorded(folder: Path) -> list[records.ProcessRecord]:
    """The processes that a run has started and not removed."""
    found = map(records.read, (folder / "stack" / "records").glob("*.json"))
    return [record for record in found if record is not None]


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if "TOLLGATE" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", "--folder", str(folder), *arguments),
        cwd=CHECKOUT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.mark.timeout(LIMIT_SECONDS + 30)
async def test_twenty_faults_lose_nothing_and_double_nothing(native: None, folder: Path) -> None:
    run = await start(
        folder, "--seed", str(SEED), "--minutes", str(MINUTES), "--faults", str(FAULTS)
    )
    try:
        output, _ = await asyncio.wait_for(run.communicate(), LIMIT_SECONDS)
    except TimeoutError:
        run.terminate()
        raise
    assert run.returncode == 0, output.decode()
    report = json.loads((folder / f"seed-{SEED}" / "report.json").read_text())
    assert report["faults"] + len(report["missed"]) == FAULTS
    assert report["figures"]["events"] > 1_000
    assert report["figures"]["invoices"] > 4, "nothing was finalised while the faults went on"
    if os.geteuid() == 0:
        assert report["left out"] == {}
    assert not (folder / "stack").exists()


@pytest.mark.timeout(300)
async def test_an_interrupted_run_leaves_nothing_behind(native: None, folder: Path) -> None:
    run = await start(folder, "--seed", "1")
    assert run.stdout is not None
    reading = asyncio.create_task(run.stdout.read())

    def servers_run() -> list[records.ProcessRecord] | None:
        found = recorded(folder)
        return found if {"kafka", "postgres"} <= {record.name for record in found} else None

    try:
        started = await eventually(servers_run, timeout=200)
        run.send_signal(signal.SIGINT)
        assert await run.wait() == 130, (await reading).decode()
    finally:
        if run.returncode is None:
            run.terminate()
            await run.wait()
    assert not [record.name for record in started if records.process_of(record)]
    assert not (folder / "stack").exists()
    assert not [disk for disk in psutil.disk_partitions(all=True) if str(folder) in disk.mountpoint]
