"""The kernel on real servers: two worker processes that are killed and frozen in a loop."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from common.bus import BusError, Record
from common.bus.admin import apply_topics
from common.bus.kafka import KafkaBus
from common.contracts.topics import partition_for
from common.stream import kernel_tables
from tests.integration.common.kernel_worker import LEASE_SECONDS, MID, PARTITIONS, RAW, TABLES
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
SECONDS = 60
"""How long the workers are harassed."""


class Workers:
    """Two processes, of which one dies or freezes every moment and is started again."""

    def __init__(self, arguments: tuple[str, str, str], folder: Path, random: Random) -> None:
        self._arguments, self._folder, self._random = arguments, folder, random
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = self.freezes = 0

    def start(self, name: str) -> None:
        log = (self._folder / f"{name}.log").open("ab")
        command = [sys.executable, "-m", "tests.integration.common.kernel_worker"]
        self._processes[name] = subprocess.Popen([*command, *self._arguments, name], stderr=log)

    async def harass(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await asyncio.sleep(self._random.uniform(0.8, 2.0))
            name = self._random.choice(sorted(self._processes))
            process = self._processes[name]
            if self.kills >= 2 * (self.freezes + 1):
                process.send_signal(signal.SIGSTOP)
                self.freezes += 1
                await asyncio.sleep(self._random.uniform(0.3, 2.0) * LEASE_SECONDS)
                process.send_signal(signal.SIGCONT)
            else:
                process.kill()
                process.wait()
                self.kills += 1
                self.start(name)

    def stop(self) -> list[int]:
        """Ask all to end; their exit codes."""
        for process in self._processes.values():
            process.terminate()
        return [process.wait(30) for process in self._processes.values()]

    def kill(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


async def feed(bus: KafkaBus, random: Random, seconds: float) -> dict[str, list[Any]]:
    """Envelopes with some identities sent again, for a while; what was sent, by identity."""
    sent: dict[str, list[Any]] = {}
    recent: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        batches: dict[int, list[Any]] = defaultdict(list)
        for _ in range(200):
            if recent and random.random() < 0.1:
                item = sent[random.choice(recent)]
            else:
                item = [f"e{len(sent)}", f"t{random.randint(0, 9)}", 2 ** random.randint(0, 20)]
                sent[item[0]] = item
                recent = [*recent[-500:], item[0]]
            batches[partition_for(item[0], PARTITIONS)].append(item)
        records = {
            number: [
                Record(None, json.dumps(items[n : n + 20]).encode())
                for n in range(0, len(items), 20)
            ]
            for number, items in batches.items()
        }
        await bus.append(RAW.name, records)
        await asyncio.sleep(0.1)
    return sent


async def topics_exist(bus: KafkaBus) -> bool:
    try:
        return [await bus.partitions(topic.name) for topic in (RAW, MID)] == [PARTITIONS] * 2
    except BusError:
        return False


async def at_work(connection: asyncpg.Connection) -> bool:
    """Whether something has come through both stages."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM kernel.sums)"))


async def settled(bus: KafkaBus, connection: asyncpg.Connection) -> bool:
    """Whether both stages have read, counted and emitted everything."""
    for topic in (RAW, MID):
        rows = await connection.fetch(
            "SELECT partition, next_offset, emitted_offset FROM kernel.partition_progress"
            " WHERE topic = $1",
            topic.name,
        )
        if len(rows) < PARTITIONS:
            return False
        for row in rows:
            end = await bus.end_offset(topic.name, row["partition"])
            if row["next_offset"] < end or row["emitted_offset"] < end:
                return False
    return True


@pytest.mark.slow
async def test_killed_and_frozen_workers_count_exactly(
    kafka: str,
    topic_prefix: str,
    database: Callable[..., Any],
    tmp_path: Path,
) -> None:
    dsn = database().owner_url
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE SCHEMA kernel;" + kernel_tables("kernel") + TABLES)
    await apply_topics(kafka, prefix=topic_prefix, partitions=PARTITIONS, topics=[RAW, MID])
    bus = KafkaBus(kafka, prefix=topic_prefix)
    random = Random(int(os.environ.get("TOLLGATE_TEST_SEED", "1")))
    workers = Workers((kafka, topic_prefix, dsn), tmp_path, random)
    try:
        await eventually(lambda: topics_exist(bus), timeout=60)
        workers.start("w0")
        workers.start("w1")
        feeding = asyncio.create_task(feed(bus, random, SECONDS + 5))
        await eventually(lambda: at_work(connection), timeout=60)
        await workers.harass(SECONDS)
        sent = await feeding
        await eventually(lambda: settled(bus, connection), timeout=60, every=0.5)
        assert workers.kills >= 2
        assert workers.freezes >= 1
        epochs = await connection.fetchval("SELECT sum(epoch) FROM kernel.partition_progress")
        assert epochs >= 2 * 2 * PARTITIONS, "hardly anything was taken over"

        expected: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for _, tenant, amount in sent.values():
            expected[tenant][0] += amount
            expected[tenant][1] += 1
        rows = await connection.fetch(
            "SELECT tenant, sum(amount) AS amount, sum(events) AS events"
            " FROM kernel.sums GROUP BY tenant"
        )
        counted = {row["tenant"]: [int(row["amount"]), int(row["events"])] for row in rows}
        assert counted == dict(expected)

        assert workers.stop() == [0, 0]
        owners = await connection.fetch(
            "SELECT owner FROM kernel.partition_progress WHERE owner IS NOT NULL"
        )
        assert owners == [], "a graceful stop releases the leases"
    finally:
        workers.kill()
        await bus.stop()
        await connection.close()
