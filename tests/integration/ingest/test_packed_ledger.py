"""The packed ledger alone: what it replaces, what it survives, and what protects it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import numpy as np
import pytest

from common.db import create_pool
from common.settings import UnsafeSettings
from ingest.main import open_ledger
from ingest.packed.blocks import Block
from ingest.packed.ledger import PackedLedger
from ingest.packed.memory import GroupMemory
from ingest.packed.view import View
from ingest.settings import IngestSettings
from ingest.store import ledger_blocks, ledger_kind
from ingest.store.first_copies import first_copies
from ingest.store.plain_ledger import PlainLedger
from tests.integration.ingest.ledger_contract import CONFLICT, DUPLICATE, FRESH, claim
from tests.integration.ingest.shared_ledger_contract import Both, Event, Step, World
from tests.support.databases import Database

DAY = 20_000


@pytest.fixture(scope="module")
def database_url(database: Callable[..., Database]) -> str:
    return database("ingest").service_url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url)
    await pool.execute(
        """
        DELETE FROM ingest.ledger_kind;
        DELETE FROM ingest.ledger_blocks;
        DELETE FROM ingest.ledger;
        """
    )
    yield pool
    await pool.close()


async def admit(pool: asyncpg.Pool, ledger: Any, *claims: Any, partition: int = 0) -> list[Any]:
    async with pool.acquire() as connection, connection.transaction():
        verdicts: list[Any] = await ledger.admit(connection, partition, claims)
        return verdicts


async def test_an_installation_with_plain_rows_counts_nothing_twice(pool: asyncpg.Pool) -> None:
    settings = IngestSettings(ledger="plain")
    plain = await open_ledger(pool, settings)
    assert isinstance(plain, PlainLedger)
    assert await admit(pool, plain, claim("a", 1), claim("b", 1, 1, stamped=True)) == [FRESH] * 2

    packed = await open_ledger(pool, IngestSettings())
    verdicts = await admit(
        pool,
        packed,
        claim("a", 2),
        claim("a", 2, 1, content="other"),
        claim("c", 2, 2),
        claim("b", 2, 3, day=DAY + 1, stamped=True),
    )
    assert verdicts == [DUPLICATE, CONFLICT, FRESH, DUPLICATE]
    async with pool.acquire() as connection, connection.transaction():
        asked = [claim("a", 1), claim("b", 1, 1, stamped=True), claim("a", 2), claim("c", 2, 2)]
        assert await packed.decided(connection, 0, asked) == [True, True, False, True]
        for name, origin in (("a", (0, 1, 0)), ("c", (0, 2, 2))):
            identity = claim(name, 0).identity
            copies = await first_copies(connection, identity[0], identity, DAY - 1, DAY + 1)
            assert copies == [origin]
        # Plain rows age out with the blocks.
        assert await packed.forget_before(connection, DAY + 1) == 1
        assert await packed.forget_before(connection, DAY + 1) == 2
        assert await packed.forget_before(connection, DAY + 1) == 0


async def test_there_is_no_way_back_to_plain_rows(pool: asyncpg.Pool) -> None:
    before = await open_ledger(pool, IngestSettings(ledger="plain"))
    await open_ledger(pool, IngestSettings(ledger="packed"))
    with pytest.raises(UnsafeSettings, match="set TOLLGATE_LEDGER=packed"):
        await open_ledger(pool, IngestSettings(ledger="plain"))
    # Nor for a process that was started earlier, or that is of an older version.
    with pytest.raises(asyncpg.RaiseError, match="packed ledger"):
        await admit(pool, before, claim("a", 1))


async def test_the_change_waits_for_plain_steps_under_way(pool: asyncpg.Pool) -> None:
    plain = await open_ledger(pool, IngestSettings(ledger="plain"))
    async with pool.acquire() as connection:
        step = connection.transaction()
        await step.start()
        assert await plain.admit(connection, 0, [claim("a", 1)]) == [FRESH]
        with pytest.raises(asyncpg.LockNotAvailableError):
            await settle_impatiently(pool)
        await step.commit()
    packed = await open_ledger(pool, IngestSettings())
    assert await admit(pool, packed, claim("a", 2)) == [DUPLICATE]


async def settle_impatiently(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '50ms'")
        await ledger_kind.settle(connection, "packed")


async def test_a_restored_database_is_not_taken_for_the_one_before(pool: asyncpg.Pool) -> None:
    """The database goes back to a backup while a process lives on, and grows to the same number
    with other events."""
    survivor = PackedLedger()
    one = claim("a", 0)
    grp = one.shard % ledger_blocks.GROUPS
    others = [claim(str(n), 0)._replace(shard=one.shard) for n in range(4)]
    assert await admit(pool, survivor, one) == [FRESH]
    backup = await pool.fetchrow("SELECT * FROM ingest.ledger_groups WHERE grp = $1", grp)
    assert await admit(pool, survivor, others[0]._replace(offset=1)) == [FRESH]
    assert await admit(pool, survivor, others[1]._replace(offset=2)) == [FRESH]

    await pool.execute(
        "DELETE FROM ingest.ledger_blocks WHERE grp = $1 AND number > $2", grp, backup["number"]
    )
    await pool.execute(
        "UPDATE ingest.ledger_groups SET number = $2, token = $3 WHERE grp = $1",
        grp,
        backup["number"],
        backup["token"],
    )
    after = PackedLedger()
    assert await admit(pool, after, others[2]._replace(offset=1)) == [FRESH]
    assert await admit(pool, after, others[3]._replace(offset=2)) == [FRESH]
    asked = [*(other._replace(offset=3) for other in others), one._replace(offset=3)]
    assert await admit(pool, survivor, *asked) == [FRESH, FRESH, DUPLICATE, DUPLICATE, DUPLICATE]


async def test_a_process_that_slept_through_many_steps(pool: asyncpg.Pool) -> None:
    sleeper, busy = PackedLedger(), PackedLedger()
    first = claim("first", 0)
    assert await admit(pool, sleeper, first) == [FRESH]
    for n in range(30):
        step = claim(f"n{n}", n + 1)._replace(shard=first.shard)
        assert await admit(pool, busy, step) == [FRESH]
    asked = [claim(f"n{n}", 99, n)._replace(shard=first.shard) for n in range(30)]
    assert await admit(pool, sleeper, *asked) == [DUPLICATE] * 30


HOLES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def hole(make: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    HOLES[make.__name__] = make
    return make


@hole
def no_confirmation(patch: pytest.MonkeyPatch) -> None:
    def find(self: Block, high: Any, low: Any) -> Any:
        at = self.high.searchsorted(high)
        return np.where(self.high[np.minimum(at, self.ids - 1)] == high, at, -1)

    patch.setattr(Block, "find", find)


@hole
def no_lock(patch: pytest.MonkeyPatch) -> None:
    async def lock(tx: Any, groups: Any) -> Any:
        rows = await tx.fetch(
            "SELECT grp, number, token, false FROM ingest.ledger_groups WHERE grp = ANY ($1)",
            groups,
        )
        return [ledger_blocks.Group(*row) for row in rows]

    patch.setattr(ledger_blocks, "lock", lock)


@hole
def no_refresh(patch: pytest.MonkeyPatch) -> None:
    def settle(self: GroupMemory, group: Any) -> bool:
        self.number, self.token = group.number, group.token
        return True

    patch.setattr(GroupMemory, "settle", settle)


@hole
def no_own_blocks(patch: pytest.MonkeyPatch) -> None:
    async def see_own(self: View, group: Any, memory: Any) -> None:
        pass

    patch.setattr(View, "_see_own", see_own)


@hole
def no_neighbours(patch: pytest.MonkeyPatch) -> None:
    async def ask_nobody(view: Any, grp: int, day: int, rows: Any, chosen: Any, _: Any) -> Any:
        return chosen

    patch.setattr("ingest.packed.ledger._ask_neighbours", ask_nobody)


@hole
def nothing(patch: pytest.MonkeyPatch) -> None:
    pass


async def attack(pool: asyncpg.Pool) -> None:
    """A few steps that need every protection."""
    timed = [Event(name, 0, DAY, stamped=False) for name in range(8)]
    world = World(PackedLedger, pool)
    await world.play([Step(0, 0, timed[:1], commits=True), Step(1, 1, timed[1:2], commits=True)])
    await world.play([Step(0, 0, timed[:4], commits=True), Step(1, 1, timed[:4], commits=True)])
    await world.play([Both(Step(0, 0, timed[4:], True), Step(1, 1, timed[4:], commits=True))])
    late = [Event(name, 0, DAY + 1, stamped=True) for name in range(8)]
    await world.play([Step(2, 2, late, commits=True)])
    ledger, claims = PackedLedger(), [claim("twice", 1), claim("twice", 1, 1)]
    async with pool.acquire() as connection, connection.transaction():
        assert await ledger.admit(connection, 0, claims) == [FRESH, DUPLICATE]
        assert await ledger.admit(connection, 0, claims) == [FRESH, DUPLICATE]


@pytest.mark.parametrize("name", HOLES)
async def test_each_protection_is_needed(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    HOLES[name](monkeypatch)
    if name == "nothing":
        await attack(pool)
        return
    # Without the lock, the second of two steps finds its block's number taken.
    with pytest.raises((AssertionError, asyncpg.UniqueViolationError)):
        await attack(pool)
