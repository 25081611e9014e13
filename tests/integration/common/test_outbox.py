"""The outbox: in the order of revisions, at least once, and the newest value stays the last."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from common.bus import BusError, Record
from common.bus.memory import MemoryBus
from common.contracts.topics import Topic
from common.stream import outbox as outbox_module
from common.stream.outbox import Outbox, next_revision
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
THINGS = Topic("things", "name", compacted=True)


async def put(pool: asyncpg.Pool, name: str, body: str) -> int:
    async with pool.acquire() as connection, connection.transaction():
        revision = await next_revision(connection, "kernel", "things")
        await connection.execute(
            """
            INSERT INTO kernel.things VALUES ($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET body = excluded.body, revision = excluded.revision
            """,
            name,
            body,
            revision,
        )
    return revision


async def fetch(connection: Any, after: int, limit: int) -> Sequence[tuple[int, str, Record]]:
    rows = await connection.fetch(
        "SELECT * FROM kernel.things WHERE revision > $1 ORDER BY revision LIMIT $2", after, limit
    )
    return [
        (r["revision"], r["name"], Record(r["name"].encode(), f"{r['revision']}".encode()))
        for r in rows
    ]


def make(pool: asyncpg.Pool, bus: Any, worker: str = "a", lease_seconds: float = 10) -> Outbox:
    return Outbox(
        pool=pool,
        bus=bus,
        schema="kernel",
        name="things",
        topic=THINGS,
        fetch=fetch,
        worker=worker,
        lease_seconds=lease_seconds,
        every_seconds=0.02,
    )


@contextlib.asynccontextmanager
async def running(*outboxes: Outbox) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(outbox.run()) for outbox in outboxes]
    try:
        yield
    finally:
        for outbox in outboxes:
            outbox.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


def revisions(bus: MemoryBus) -> list[int]:
    return [int(message.value or b"") for message in bus.messages(THINGS.name, 0)]


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(partitions=1)


async def test_rows_are_published_once_in_the_order_of_their_revision(
    pool: asyncpg.Pool, bus: MemoryBus
) -> None:
    async with running(make(pool, bus)):
        await asyncio.gather(*(put(pool, f"n{n}", "x") for n in range(50)))
        await eventually(lambda: len(revisions(bus)) >= 50)
    assert revisions(bus) == list(range(1, 51))
    assert await pool.fetchval("SELECT owner FROM kernel.outboxes") is None


async def test_two_publishers_take_turns(pool: asyncpg.Pool, bus: MemoryBus) -> None:
    async with running(make(pool, bus, "a"), make(pool, bus, "b")):
        for n in range(30):
            await put(pool, f"n{n}", "x")
        await eventually(lambda: len(revisions(bus)) >= 30)
    assert revisions(bus) == list(range(1, 31))


class Dies(BaseException):
    """The process ends."""


class DyingBus(MemoryBus):
    """Appends, and then the process is dead before it can say so."""

    async def append(self, topic: str, batches: Any) -> None:
        await super().append(topic, batches)
        raise Dies


async def test_after_a_crash_between_append_and_advance_it_is_published_again(
    pool: asyncpg.Pool,
) -> None:
    dying = DyingBus(partitions=1)
    await put(pool, "a", "x")
    with pytest.raises(Dies):
        await make(pool, dying, lease_seconds=0.1).run()
    assert revisions(dying) == [1]

    heir = MemoryBus(partitions=1)
    async with running(make(pool, heir, "b")):
        await eventually(lambda: revisions(heir) == [1])


class FlakyBus(MemoryBus):
    left = 3

    async def append(self, topic: str, batches: Any) -> None:
        if self.left:
            self.left -= 1
            raise BusError("not confirmed")
        await super().append(topic, batches)


async def test_a_broker_that_is_away_is_waited_for(pool: asyncpg.Pool) -> None:
    bus = FlakyBus(partitions=1)
    await put(pool, "a", "x")
    async with running(make(pool, bus)):
        await eventually(lambda: revisions(bus) == [1])


class FreezingBus(MemoryBus):
    """The first append is held back until it is thawed: a process frozen past its lease."""

    def __init__(self) -> None:
        super().__init__(partitions=1)
        self.frozen, self.thaw = asyncio.Event(), asyncio.Event()

    async def append(self, topic: str, batches: Any) -> None:
        if not self.frozen.is_set():
            self.frozen.set()
            await self.thaw.wait()
        await super().append(topic, batches)


async def test_a_value_appended_by_a_zombie_does_not_stay_the_last(pool: asyncpg.Pool) -> None:
    """Compaction keeps the last record of a key, so it must be the newest."""
    bus = FreezingBus()
    await put(pool, "a", "old")
    async with running(make(pool, bus, "zombie", lease_seconds=0.2)):
        await bus.frozen.wait()
        await put(pool, "a", "new")
        async with running(make(pool, bus, "heir", lease_seconds=0.2)):
            await eventually(lambda: revisions(bus) == [2])
            bus.thaw.set()
            await eventually(lambda: 1 in revisions(bus))
            await eventually(lambda: revisions(bus)[-1] == 2)


async def test_a_compacted_topic_is_published_whole_once_in_a_while(
    pool: asyncpg.Pool, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "REFRESH_SECONDS", 0.3)
    await put(pool, "a", "x")
    await put(pool, "b", "x")
    async with running(make(pool, bus)):
        await eventually(lambda: revisions(bus)[:4] == [1, 2, 1, 2])


async def test_a_revision_is_visible_only_when_all_smaller_ones_are(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as slow, slow.transaction():
        assert await next_revision(slow, "kernel", "things") == 1
        fast = asyncio.create_task(put(pool, "fast", "x"))
        done, _ = await asyncio.wait({fast}, timeout=0.3)
        assert not done, "the second waits for the first"
    assert await fast == 2
