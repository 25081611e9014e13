"""Decisions on disk are those in force, also after the disk was full for a while."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.decisions import store
from collector.decisions.holder import Decisions
from collector.decisions.store import DecisionStore, open_decisions
from common.contracts.decisions import Decision
from tests.integration.collector.centre import decision


class FillingDisk(DecisionStore):
    """A store whose disk is full while `full` is set."""

    full = False

    def _execute_or_fail(self) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")

    def replace(self, *arguments: Any, **named: Any) -> None:
        self._execute_or_fail()
        super().replace(*arguments, **named)

    def apply(self, *arguments: Any, **named: Any) -> None:
        self._execute_or_fail()
        super().apply(*arguments, **named)


def made(tenant: str, revision: int) -> Decision:
    return msgspec.convert(decision(tenant, revision), Decision)


def test_what_came_while_the_disk_was_full_is_kept_as_soon_as_it_is_not(tmp_path: Path) -> None:
    disk = FillingDisk(tmp_path / "decisions.sqlite")
    decisions = Decisions(disk, silence_seconds=30)
    decisions.apply([made("aurora", 1)], 1)
    disk.full = True
    decisions.apply([made("basalt", 2)], 2)
    disk.full = False
    decisions.apply([made("cobalt", 3)], 3)
    disk.close()

    restarted = Decisions(DecisionStore(tmp_path / "decisions.sqlite"), silence_seconds=30)
    assert restarted.revision == 3
    held = {one.decision.tenant: one.decision.revision for one in restarted.held()}
    assert held == {"aurora": 1, "basalt": 2, "cobalt": 3}


def test_a_full_disk_does_not_make_the_file_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "decisions.sqlite"
    open_decisions(path).close()

    def full(_: Path) -> DecisionStore:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE  # what opening one says
        raise error

    monkeypatch.setattr(store, "DecisionStore", full)
    with pytest.raises(sqlite3.OperationalError):
        open_decisions(path)
    assert [file.name for file in tmp_path.iterdir()] == ["decisions.sqlite"]


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "decisions.sqlite"
    path.write_bytes(b"this is no database" * 100)
    open_decisions(path).close()
    assert (tmp_path / "decisions.damaged").exists()
