"""Leases and positions in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from common.contracts.topics import EVENTS
from common.stream import Fenced, Position, PostgresProgress
from common.stream.watermark import stage_watermark
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers
TOPIC = EVENTS.name


@pytest.fixture
def progress(pool: asyncpg.Pool, kernel_url: str) -> PostgresProgress:
    return PostgresProgress(pool, "kernel", kernel_url)


async def claimed(
    progress: PostgresProgress, worker: str, partition: int = 0, lease: float = 30
) -> Position:
    position = await progress.claim(TOPIC, partition, worker, lease, 100)
    assert position is not None
    return position


async def test_a_step_moves_the_position_and_a_successor_finds_it(
    progress: PostgresProgress, pool: asyncpg.Pool
) -> None:
    position = await claimed(progress, "a")
    assert (position.epoch, position.next_offset, position.emitted_offset) == (1, 100, 100)
    session = await progress.session(position)
    moved = msgspec.structs.replace(
        position,
        next_offset=120,
        emitted_offset=110,
        seen={0: 5, 11: 2**40},
        watermarks={1: 1_700_000_000_000},
        inputs=4,
        watermark_ms=1_700_000_000_000,
    )
    async with session.step(position, moved, 30) as tx:
        await tx.execute("INSERT INTO kernel.things VALUES ('a', 'done', 1)")
    await session.release(msgspec.structs.replace(moved, emitted_offset=120))
    await session.close()

    assert await pool.fetchval("SELECT body FROM kernel.things") == "done"
    found = await claimed(progress, "b")
    assert found == msgspec.structs.replace(moved, epoch=2, emitted_offset=120)


async def test_a_held_partition_cannot_be_claimed_until_its_lease_runs_out(
    progress: PostgresProgress,
) -> None:
    await claimed(progress, "a", lease=0.3)
    assert await progress.claim(TOPIC, 0, "b", 30, 0) is None

    async def taken() -> bool:
        return await progress.claim(TOPIC, 0, "b", 30, 0) is not None

    await eventually(taken, timeout=5)


async def test_a_worker_takes_its_own_partition_back_at_once(progress: PostgresProgress) -> None:
    await claimed(progress, "a")
    assert (await claimed(progress, "a")).epoch == 2


async def test_the_predecessor_is_fenced_by_the_epoch_alone(
    progress: PostgresProgress, pool: asyncpg.Pool
) -> None:
    zombie = await claimed(progress, "a")
    session = await progress.session(zombie)
    await claimed(progress, "a")
    with pytest.raises(Fenced):
        async with session.step(zombie, zombie, 30) as tx:
            await tx.execute("INSERT INTO kernel.things VALUES ('zombie', '', 1)")
    with pytest.raises(Fenced):
        await progress.renew(zombie, 30)
    await session.release(zombie)
    await session.close()

    row = await pool.fetchrow("SELECT owner, epoch FROM kernel.partition_progress")
    assert row is not None
    assert dict(row) == {"owner": "a", "epoch": 2}, "a zombie's release changes nothing"
    assert await pool.fetchval("SELECT count(*) FROM kernel.things") == 0


async def test_a_step_from_another_offset_is_fenced(progress: PostgresProgress) -> None:
    position = await claimed(progress, "a")
    session = await progress.session(position)
    moved = msgspec.structs.replace(position, next_offset=101)
    async with session.step(position, moved, 30):
        pass
    with pytest.raises(Fenced):  # a blind retry after an unknown outcome
        async with session.step(position, moved, 30):
            pass
    await session.close()


async def test_an_error_in_the_block_rolls_everything_back(
    progress: PostgresProgress, pool: asyncpg.Pool
) -> None:
    position = await claimed(progress, "a")
    session = await progress.session(position)
    moved = msgspec.structs.replace(position, next_offset=101)

    async def failing() -> None:
        async with session.step(position, moved, 30) as tx:
            await tx.execute("INSERT INTO kernel.things VALUES ('a', '', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    await session.close()

    assert await pool.fetchval("SELECT count(*) FROM kernel.things") == 0
    assert (await claimed(progress, "a")).next_offset == 100


async def test_a_cancelled_step_writes_nothing_and_frees_its_lock(
    progress: PostgresProgress, pool: asyncpg.Pool
) -> None:
    position = await claimed(progress, "a")
    session = await progress.session(position)
    moved = msgspec.structs.replace(position, next_offset=101)
    inside = asyncio.Event()

    async def step() -> None:
        async with session.step(position, moved, 30) as tx:
            await tx.execute("INSERT INTO kernel.things VALUES ('a', '', 1)")
            inside.set()
            await tx.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(step())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.close()

    assert (await claimed(progress, "a")).next_offset == 100
    assert await pool.fetchval("SELECT count(*) FROM kernel.things") == 0


async def test_neither_a_claim_nor_a_renewal_waits_for_a_step(progress: PostgresProgress) -> None:
    position = await claimed(progress, "a", lease=0.01)
    session = await progress.session(position)
    async with asyncio.timeout(5):
        async with session.step(position, position, 0.01):
            await progress.renew(position, 30)
            assert await progress.claim(TOPIC, 0, "b", 30, 0) is None
    await session.close()


async def test_a_renewal_keeps_the_lease(progress: PostgresProgress, pool: asyncpg.Pool) -> None:
    position = await claimed(progress, "a", lease=0.01)
    await progress.renew(position, 30)
    assert await progress.claim(TOPIC, 0, "b", 30, 0) is None


async def test_live_workers_are_counted_by_topic(progress: PostgresProgress) -> None:
    assert await progress.heartbeat(TOPIC, "a", 30) == 1
    assert await progress.heartbeat(TOPIC, "b", 30) == 2
    assert await progress.heartbeat("other", "c", 30) == 1
    await progress.leave(TOPIC, "a")
    assert await progress.heartbeat(TOPIC, "b", 0.001) == 1


async def test_an_owner_frozen_in_a_step_is_ended_when_its_lease_is_over(
    progress: PostgresProgress,
) -> None:
    """It holds the row's lock, so without its end nobody could take over."""
    position = await claimed(progress, "a", lease=0.1)
    session = await progress.session(position)
    step = session.step(position, position, 0.1)
    await step.__aenter__()  # and nothing more comes from this client

    await eventually(lambda: progress.claim(TOPIC, 0, "b", 0.1, 0), timeout=10)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await step.__aexit__(None, None, None)
    await session.close()


async def test_an_owner_frozen_in_a_copy_is_ended_when_its_lease_is_over(
    progress: PostgresProgress,
) -> None:
    """The server waits for the rest of the rows; no time-out of its own ends that."""
    position = await claimed(progress, "a", lease=0.1)
    session = await progress.session(position)
    began, never = asyncio.Event(), asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        yield b"1\n"
        began.set()
        await never.wait()

    async def frozen() -> None:
        async with session.step(position, position, 0.1) as tx:
            await tx.execute("CREATE TEMP TABLE rows (number int) ON COMMIT DROP")
            await tx.copy_to_table("rows", source=rows())

    task = asyncio.create_task(frozen())
    await began.wait()

    await eventually(lambda: progress.claim(TOPIC, 0, "b", 0.1, 0), timeout=10)

    never.set()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await task
    await session.close()


async def test_a_slow_statement_is_not_taken_for_a_frozen_owner(
    progress: PostgresProgress,
) -> None:
    position = await claimed(progress, "a", lease=0.1)
    session = await progress.session(position)
    async with session.step(position, position, 0.1) as tx:
        slow = asyncio.create_task(tx.execute("SELECT pg_sleep(1)"))
        while not slow.done():
            assert await progress.claim(TOPIC, 0, "b", 0.1, 0) is None
        await slow
    await session.close()


async def test_the_watermark_of_a_stage_is_the_least_of_its_partitions(
    progress: PostgresProgress, pool: asyncpg.Pool
) -> None:
    for partition, watermark_ms in enumerate((2_000, None)):
        position = await claimed(progress, "a", partition)
        session = await progress.session(position)
        moved = msgspec.structs.replace(position, watermark_ms=watermark_ms)
        async with session.step(position, moved, 30):
            pass
        await session.close()
    assert await stage_watermark(pool, "kernel", EVENTS, 2) is None
    found = await stage_watermark(pool, "kernel", EVENTS, 1)
    assert found is not None
    assert found.timestamp() == 2
