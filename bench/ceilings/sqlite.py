"""SQLite alone: commits with fsync, as the collector's spool makes them."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bench.contract import About, Measurement, Repetition
from bench.load.events import EVENT_BYTES
from bench.site import Meter, Site


class SqliteCeiling:
    """WAL, synchronous=FULL, one event of 212 bytes a commit."""

    abouts = (
        About(
            name="sqlite.commit",
            family="ceilings",
            unit="commit",
            what="WAL, synchronous=FULL, one row of 212 bytes: an fsync each",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        folder = site.stack.state.services / "sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "bench.sqlite"

        async def measure(number: int) -> Mapping[str, Measurement]:
            latencies: list[float] = []
            meter = Meter(site)
            await asyncio.to_thread(_commit, file, number, site.scale.commits, latencies)
            return {
                "sqlite.commit": Measurement(
                    units=site.scale.commits,
                    seconds=meter.seconds(),
                    cpu_seconds=meter.cpu_seconds(),
                    latencies_ms={"commit": latencies},
                )
            }

        try:
            yield measure
        finally:
            for path in folder.glob("bench.sqlite*"):
                path.unlink()


def _commit(file: Path, number: int, commits: int, latencies: list[float]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS kept (seq INTEGER PRIMARY KEY, body BLOB)")
        body = b"x" * EVENT_BYTES
        for seq in range(commits):
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO kept VALUES (?, ?)", (number * commits + seq, body))
            connection.execute("COMMIT")
            latencies.append((time.perf_counter() - began) * 1000)
