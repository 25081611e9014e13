"""The protections of the collector's files against a power cut, each with a way to take it away.

Only tests do that. `REMOVED[name](monkeypatch)` removes one until the test ends.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector import lock
from collector.spool.writer import Change, Spool


def say_instead(monkeypatch: pytest.MonkeyPatch, *, of: str, what: str) -> None:
    """SQLite is told `what` where the collector says `of`."""

    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace(of, what), *arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", partial(connect, factory=Careless))


def answer_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts are given when the transaction is written, and it is committed afterwards."""
    write, apply = Spool._write, Spool._apply
    waiting: list[Any] = []

    def remember(self: Spool, jobs: list[Any]) -> None:
        waiting[:] = [future for _, future in jobs]
        write(self, [(change, Future()) for change, _ in jobs])

    def answer(self: Spool, connection: sqlite3.Connection, changes: list[Change]) -> Any:
        receipts = apply(self, connection, changes)
        for future, receipt in zip(waiting, receipts, strict=True):
            future.set_result(receipt)
        return receipts

    monkeypatch.setattr(Spool, "_write", remember)
    monkeypatch.setattr(Spool, "_apply", answer)


def leave_folders_unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders on the way to the spool are made, but their names are not synced."""

    def make(directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(lock, "make_directory", make)


_FULL = "synchronous = FULL"

REMOVED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "fsync before ack: only checkpoints are synced": partial(
        say_instead, of=_FULL, what="synchronous = NORMAL"
    ),
    "fsync before ack: nothing is synced": partial(say_instead, of=_FULL, what="synchronous = OFF"),
    "fsync before ack: answer before the commit": answer_before_the_commit,
    "fsync before use: what a killed process left unsynced": partial(
        say_instead, of="wal_checkpoint(PASSIVE)", what="user_version"
    ),
    "rename durability: names of new folders": leave_folders_unsynced,
}
