"""The supervisor: restarts what dies, starts only what is missing, cleans up after a crash."""

import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stack import records
from stack.folders import State
from stack.ports import free_port
from stack.program import Program
from stack.readiness import port_answers
from stack.supervisor import StackError, Supervisor
from tests.support.eventually import eventually


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "a folder with spaces, 100%" / ".stack")


@pytest.fixture
def supervisor(state: State) -> Iterator[Supervisor]:
    supervisor = Supervisor(state)
    supervisor.start()
    yield supervisor
    supervisor.stop()


def web_server(folder: Path, name: str = "web") -> Program:
    port = free_port()
    return Program(
        name=name,
        command=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)),
        folder=folder,
        is_ready=lambda: port_answers(port),
        ports=(port,),
    )


def pid_of(supervisor: Supervisor, name: str) -> int:
    record = supervisor.record_of(name)
    assert record is not None
    return record.pid


async def test_a_program_starts_serves_and_stops(supervisor: Supervisor, tmp_path: Path) -> None:
    web = web_server(tmp_path)
    assert supervisor.ensure(web)
    supervisor.wait_ready(web)
    assert supervisor.states()["web"] in {"STARTING", "RUNNING"}
    supervisor.stop_programs(["web"])
    assert not web.is_ready()


async def test_a_killed_program_is_back_within_seconds_as_another_process(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    web = web_server(tmp_path)
    supervisor.ensure(web)
    supervisor.wait_ready(web)
    await eventually(lambda: supervisor.states()["web"] == "RUNNING")
    killed = records.send_signal(supervisor.record_of("web"), signal.SIGKILL)
    await eventually(lambda: pid_of(supervisor, "web") != killed and web.is_ready(), timeout=10)


async def test_what_runs_is_left_alone_and_what_is_missing_is_started(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    one, two = web_server(tmp_path, "one"), web_server(tmp_path, "two")
    for program in (one, two):
        supervisor.ensure(program)
        supervisor.wait_ready(program)
    untouched = pid_of(supervisor, "one")
    supervisor.stop_programs(["two"])
    assert [supervisor.ensure(program) for program in (one, two)] == [False, True]
    supervisor.wait_ready(two)
    assert pid_of(supervisor, "one") == untouched


async def test_a_changed_specification_restarts_the_program(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    web = web_server(tmp_path)
    supervisor.ensure(web)
    supervisor.wait_ready(web)
    before = pid_of(supervisor, "web")
    changed = replace(web, environment={"COLOUR": 'blue "%s"'})
    assert supervisor.ensure(changed)
    supervisor.wait_ready(changed)
    assert pid_of(supervisor, "web") != before
    environment = records.psutil.Process(pid_of(supervisor, "web")).environ()
    assert environment["COLOUR"] == 'blue "%s"'


async def test_after_a_crash_of_the_supervisor_its_orphans_are_ended_by_their_records(
    supervisor: Supervisor, state: State, tmp_path: Path
) -> None:
    web = web_server(tmp_path)
    supervisor.ensure(web)
    supervisor.wait_ready(web)
    records.send_signal(supervisor.record_of("supervisord"), signal.SIGKILL)
    await eventually(lambda: not supervisor.is_running())
    assert web.is_ready(), "the orphan serves on"

    successor = Supervisor(state)
    assert successor.start() == ["web"]
    assert not web.is_ready()
    assert successor.ensure(web)
    successor.wait_ready(web)


@pytest.mark.parametrize("restart", [True, False])
async def test_a_program_that_fails_at_its_start_is_told_with_its_log(
    supervisor: Supervisor, tmp_path: Path, restart: bool
) -> None:
    broken = Program(
        name="broken",
        command=(sys.executable, "-c", "raise SystemExit('no such luck')"),
        folder=tmp_path,
        is_ready=lambda: False,
        restart=restart,
        start_seconds=60,
    )
    supervisor.ensure(broken)
    with pytest.raises(StackError, match="no such luck"):
        supervisor.wait_ready(broken)


async def test_a_taken_port_is_told_before_the_start(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    one = web_server(tmp_path, "one")
    supervisor.ensure(one)
    supervisor.wait_ready(one)
    with pytest.raises(StackError, match="TOLLGATE_BASE_PORT"):
        supervisor.ensure(replace(one, name="two"))


async def test_a_path_too_long_for_a_unix_socket_works(tmp_path: Path) -> None:
    deep = State(tmp_path / ("d" * 100) / ".stack")
    supervisor = Supervisor(deep)
    supervisor.start()
    assert supervisor.is_running()
    supervisor.stop()
    assert not supervisor.is_running()
