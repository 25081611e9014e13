"""Every SQL statement of the spool, over one SQLite connection.

Nothing here begins or ends a transaction except `open_store`; the writer (`spool.writer`) does, so
that many callers share one fsync. Event bodies are JSON bytes of one CloudEvent each.

    spool      one row: who this spool is (node, epoch), the next sequence, what the centre has
    events     what the centre has not acknowledged yet; `seq` has no holes when it is written
    positions  how far each generation of a tailed file has been read (see tail/generations.py)
    parked     what could not become usage, with the reason; never shipped, never lost silently
"""

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from uuid import uuid4

from collector.lanes import take
from collector.spool.values import Identity, Parked, ParkedRow, Position

SCHEMA_VERSION = 2
PAGE_SIZE = 4096
_ROWS_A_STATEMENT = 256

_SCHEMA = """
CREATE TABLE spool (
    node            TEXT NOT NULL,
    epoch           TEXT NOT NULL,
    next_seq        INTEGER NOT NULL,
    acked_seq       INTEGER NOT NULL,
    sealed_through  TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    ahead           TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,
    body            BLOB NOT NULL
);
CREATE TABLE positions (
    path            TEXT NOT NULL,
    generation      INTEGER NOT NULL,
    device          INTEGER NOT NULL,
    inode           INTEGER NOT NULL,
    head            BLOB NOT NULL,
    offset          INTEGER NOT NULL,
    finished        INTEGER NOT NULL,
    PRIMARY KEY (path, generation)
);
CREATE TABLE parked (
    id              INTEGER PRIMARY KEY,
    at              TEXT NOT NULL,
    origin          TEXT NOT NULL,
    place           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    body            BLOB NOT NULL
);
"""


class WrongNodeError(Exception):
    """The spool file belongs to another node name."""


def open_store(path: Path, node: str, now: str) -> sqlite3.Connection:
    """Opens the spool at `path`, or makes a fresh one with a new epoch.

    WAL with synchronous=FULL: when a commit has returned, its rows survive a power cut, and so
    does the file's own name, whose folder SQLite syncs with the first sync of a new WAL.
    Raises WrongNodeError when the file was made for another node: event ids contain the name.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=400
    )
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(
            """
            INSERT INTO spool (node, epoch, next_seq, acked_seq, sealed_through, created_at)
            VALUES (?, ?, 1, 0, '1970-01-01T00:00:00Z', ?)
            """,
            (node, uuid4().hex, now),
        )
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    elif version == 1:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ALTER TABLE spool ADD COLUMN ahead TEXT NOT NULL DEFAULT '[]'")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    # What a killed process wrote and never synced is in the machine's memory, and is read like
    # everything else: it must be on disk before anybody acts on it. A checkpoint syncs the WAL.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    owner = read_identity(connection).node
    if owner != node:
        connection.close()
        raise WrongNodeError(
            f"the spool {path} belongs to node {owner!r}, not {node!r}: "
            f"set TOLLGATE_NODE={owner}, or point TOLLGATE_SPOOL_DIR at an empty directory"
        )
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A second, read-only connection; it sees committed rows only and blocks nobody."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def read_identity(connection: sqlite3.Connection) -> Identity:
    row = connection.execute(
        "SELECT node, epoch, next_seq, acked_seq, sealed_through, ahead FROM spool"
    ).fetchone()
    node, epoch, next_seq, acked_seq, sealed_through, ranges = row
    ahead = tuple((first, last) for first, last in json.loads(ranges))
    return Identity(node, epoch, next_seq, acked_seq, sealed_through, ahead)


def insert_events(connection: sqlite3.Connection, first_seq: int, bodies: Sequence[bytes]) -> None:
    """Adds events under `first_seq`, `first_seq + 1`, ... and moves the next sequence behind them.

    Many rows a statement: a statement gives up the interpreter lock once, not once a row.
    """
    for start in range(0, len(bodies), _ROWS_A_STATEMENT):
        chunk = bodies[start : start + _ROWS_A_STATEMENT]
        values: list[object] = [None] * (2 * len(chunk))
        values[0::2] = range(first_seq + start, first_seq + start + len(chunk))
        values[1::2] = chunk
        connection.execute(_insert_sql(len(chunk)), values)
    connection.execute("UPDATE spool SET next_seq = ?", (first_seq + len(bodies),))


@cache
def _insert_sql(rows: int) -> str:
    return "INSERT INTO events (seq, body) VALUES " + ", ".join(["(?, ?)"] * rows)


def delete_taken(
    connection: sqlite3.Connection, first_seq: int, last_seq: int, sealed_through: str
) -> None:
    """The centre has `first_seq` up to `last_seq`: forget them; the pages are used again."""
    connection.execute("DELETE FROM events WHERE seq BETWEEN ? AND ?", (first_seq, last_seq))
    identity = read_identity(connection)
    acked_seq, ahead = take(identity.acked_seq, identity.ahead, (first_seq, last_seq))
    connection.execute(
        """
        UPDATE spool
        SET acked_seq = ?,
            ahead = ?,
            sealed_through = max(sealed_through, ?)
        """,
        (acked_seq, json.dumps(ahead), sealed_through),
    )


def put_position(connection: sqlite3.Connection, position: Position) -> None:
    connection.execute(
        """
        INSERT INTO positions
            (path, generation, device, inode, head, offset, finished)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (path, generation) DO UPDATE
        SET device = excluded.device,
            inode = excluded.inode,
            head = excluded.head,
            offset = excluded.offset,
            finished = excluded.finished
        """,
        (
            position.path,
            position.generation,
            position.device,
            position.inode,
            position.head,
            position.offset,
            int(position.finished),
        ),
    )


def read_positions(connection: sqlite3.Connection, path: str) -> list[Position]:
    """The newest 1,000 generations of `path` that were ever read, oldest first."""
    rows = connection.execute(
        """
        SELECT path, generation, device, inode, head, offset, finished
        FROM positions
        WHERE path = ?
        ORDER BY generation DESC
        LIMIT 1000
        """,
        (path,),
    )
    positions = [
        Position(name, generation, device, inode, head, offset, bool(finished))
        for name, generation, device, inode, head, offset, finished in rows
    ]
    return positions[::-1]


def insert_parked(connection: sqlite3.Connection, items: Sequence[Parked], now: str) -> None:
    connection.executemany(
        "INSERT INTO parked (at, origin, place, reason, body) VALUES (?, ?, ?, ?, ?)",
        [(now, item.origin, item.place, item.reason, item.body) for item in items],
    )


def read_parked(connection: sqlite3.Connection, after: int, limit: int) -> list[ParkedRow]:
    rows = connection.execute(
        """
        SELECT id, at, origin, place, reason, body
        FROM parked
        WHERE id > ?
        ORDER BY id
        LIMIT ?
        """,
        (after, limit),
    )
    return [ParkedRow(*row) for row in rows]


def count_parked(connection: sqlite3.Connection) -> int:
    """How many items were ever parked: they are never deleted, so the last id is the count."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM parked").fetchone()[0])


def read_events(
    connection: sqlite3.Connection, after_seq: int, limit: int, max_bytes: int
) -> tuple[int, list[bytes]]:
    """The oldest unsent events after `after_seq`: the first one's sequence, and the bodies.

    At most `limit` events and `max_bytes` of bodies, but at least one event when there is any.
    Only events in an unbroken sequence are given: a batch cannot say anything else.
    """
    rows = connection.execute(
        "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
    ).fetchall()
    if not rows:
        return after_seq + 1, []
    first_seq, size = int(rows[0][0]), 0
    bodies: list[bytes] = []
    for seq, body in rows:
        size += len(body)
        if seq != first_seq + len(bodies) or (bodies and size > max_bytes):
            break
        bodies.append(body)
    return first_seq, bodies


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something: its pages without the free ones."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return int(pages - free) * PAGE_SIZE
