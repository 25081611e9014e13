"""Tests' own processes: killed, restarted on the same port, and ended when a session was killed."""

import signal
from collections.abc import Callable
from pathlib import Path

from stack import records
from stack.readiness import http_answers
from tests.support.processes import ServiceProcess
from tests.support.servers import end_killed_sessions


async def test_a_service_starts_is_killed_and_comes_back_on_its_port(
    service_process: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    collector = service_process(
        "tollgate-collector", "run", environment={"TOLLGATE_SPOOL_DIR": str(tmp_path / "spool")}
    )
    await collector.start()
    first, address = collector.pid, collector.url
    assert http_answers(f"{address}/healthz")

    await collector.kill()
    assert not collector.is_running
    await collector.start()
    assert collector.url == address
    assert collector.pid != first
    await collector.restart()
    assert await collector.stop() in (0, -signal.SIGTERM)


async def test_processes_of_a_killed_session_are_ended_by_the_next(tmp_path: Path) -> None:
    sessions = tmp_path / "test"
    folder = sessions / "12345"
    orphan = ServiceProcess(
        ["tollgate-collector", "run"],
        {"TOLLGATE_SPOOL_DIR": str(tmp_path / "spool")},
        folder / "processes",
        "orphan",
    )
    await orphan.start(ready=False)
    record_path = folder / "processes" / "orphan.record"
    while (record := records.read(record_path)) is None:
        assert orphan.is_running
    gone = records.ProcessRecord("pytest", record.pid, record.created - 3600, ())
    (folder / "session.json").write_text(
        record_path.read_text().replace(str(record.created), str(gone.created))
    )
    end_killed_sessions(sessions)
    assert not folder.exists()
    assert records.process_of(record) is None
