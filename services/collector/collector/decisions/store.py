"""Every SQL statement of the decisions file.

It is a file of its own, so that a full or busy spool never stands in the way of enforcement.

A decision that took effect survives a power cut, also while the centre is away: an edge must not go
back to what was in force before. When the throttler was heard last is written without waiting for
the disk: losing it makes the silence seem longer, and costs nothing but a fetch.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from common.contracts.decisions import Decision, decode_decision
from common.contracts.wire import encode

log = structlog.get_logger(__name__)

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF
"""SQLite's extended codes have the primary one in their last byte."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshot (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    revision  INTEGER NOT NULL,
    heard_ns  INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS decisions (
    tenant    TEXT NOT NULL,
    action    TEXT NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (tenant, action)
);
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was in force when it was kept; `heard_ns` is the Unix time of the last word."""

    revision: int
    heard_ns: int
    decisions: list[Decision]


class DecisionStore:
    """The last known decisions on disk. Used by one task at a time."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises sqlite3.DatabaseError when it is damaged."""
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._sync("FULL")
            self._connection.executescript(_SCHEMA)
            # What a killed process left unsynced is in force from now on: sync it first.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self.load()
        except sqlite3.DatabaseError:
            self._connection.close()
            raise

    def load(self) -> Snapshot | None:
        """What was kept last; None on a fresh node."""
        row = self._connection.execute("SELECT revision, heard_ns FROM snapshot").fetchone()
        if row is None:
            return None
        bodies = self._connection.execute("SELECT body FROM decisions ORDER BY tenant, action")
        return Snapshot(row[0], row[1], [decode_decision(body) for (body,) in bodies])

    def replace(self, decisions: Sequence[Decision], revision: int, heard_ns: int) -> None:
        """Keeps a snapshot instead of everything before it."""
        self._sync("FULL")
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM decisions")
            self._upsert(decisions)
            self._mark(revision, heard_ns)

    def apply(self, decisions: Sequence[Decision], revision: int, heard_ns: int) -> None:
        """Keeps a delta, or with no decisions only the moment of the last word."""
        self._sync("FULL" if decisions else "NORMAL")
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._upsert(decisions)
            self._mark(revision, heard_ns)

    def close(self) -> None:
        self._connection.close()

    def _sync(self, level: str) -> None:
        """FULL: the next commit returns when it is on disk; NORMAL: it is not waited for."""
        self._connection.execute(f"PRAGMA synchronous = {level}")

    def _upsert(self, decisions: Sequence[Decision]) -> None:
        self._connection.executemany(
            """
            INSERT INTO decisions (tenant, action, body)
            VALUES (?, ?, ?)
            ON CONFLICT (tenant, action) DO UPDATE
            SET body = excluded.body
            """,
            [(decision.tenant, decision.action, encode(decision)) for decision in decisions],
        )

    def _mark(self, revision: int, heard_ns: int) -> None:
        self._connection.execute(
            """
            INSERT INTO snapshot (id, revision, heard_ns)
            VALUES (1, ?, ?)
            ON CONFLICT (id) DO UPDATE
            SET revision = excluded.revision, heard_ns = excluded.heard_ns
            """,
            (revision, heard_ns),
        )


def open_decisions(path: Path) -> DecisionStore:
    """The decisions file; a damaged one is put aside, for the throttler has the originals.

    Raises what else keeps it from being opened, such as a full disk: its decisions are good.
    """
    try:
        return DecisionStore(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE not in _DAMAGED:
            raise
        log.error("decisions_file_damaged", path=str(path), error=str(error))
        # Its WAL goes with it: it must not be taken for that of the next file.
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(name).rename(path.with_name(name.replace("sqlite", "damaged")))
        return DecisionStore(path)
