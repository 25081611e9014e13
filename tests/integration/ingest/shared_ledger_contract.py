"""What every ledger must do when several processes share it. Subclass it with a `new_ledger` and a
`pool` fixture.

The expectation is always the dictionary, given the same steps one after the other.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.ledger import Claim, Ledger, Verdict
from tests.integration.ingest.ledger_contract import DUPLICATE, FRESH, claim
from tests.support.model_ledger import ModelLedger

NewLedger = Callable[[], Ledger]
OWNERS, PARTITIONS, DAY = 3, 3, 20_000
_worlds = itertools.count()


class Event(NamedTuple):
    """`name` is its identity; names that differ by one have the same first 8 bytes."""

    name: int
    content: int
    day: int
    stamped: bool


class Step(NamedTuple):
    """One owner's step. `commits` or rolls back; whether the owner hears of it is the same to a
    ledger, which is never told."""

    owner: int
    partition: int
    events: list[Event]
    commits: bool


class Both(NamedTuple):
    """Two steps at a time: the second begins before the first has ended."""

    first: Step
    second: Step


class Restart(NamedTuple):
    """An owner's process starts anew."""

    owner: int


class Takeover(NamedTuple):
    """An owner decides again what was decided in an earlier step, if there was one."""

    owner: int
    step: int


class Compact(NamedTuple):
    """What a ledger does behind everybody's back, if it does."""


Compaction = Callable[[asyncpg.Pool], Awaitable[None]]


async def no_compaction(pool: asyncpg.Pool) -> None:
    """For a ledger that has none."""


def events() -> st.SearchStrategy[list[Event]]:
    return st.lists(
        st.builds(
            Event,
            name=st.integers(0, 7),
            content=st.integers(0, 1),
            day=st.integers(DAY, DAY + 2),
            stamped=st.booleans(),
        ),
        max_size=6,
    )


def steps() -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        owner=st.integers(0, OWNERS - 1),
        partition=st.integers(0, PARTITIONS - 1),
        events=events(),
        commits=st.booleans(),
    )


def plans() -> st.SearchStrategy[list[Any]]:
    owner = st.integers(0, OWNERS - 1)
    return st.lists(
        st.one_of(
            steps(),
            st.builds(Both, steps(), steps()),
            st.builds(Restart, owner),
            st.just(Compact()),
            st.builds(Takeover, owner, st.integers(0, 5)),
        ),
        max_size=10,
    )


class World:
    """Owners with a ledger each over one database, and the dictionary beside them."""

    def __init__(
        self, new_ledger: NewLedger, pool: asyncpg.Pool, compact: Compaction = no_compaction
    ) -> None:
        self._new_ledger, self._pool, self._compact = new_ledger, pool, compact
        self._salt = b"%d" % next(_worlds)
        self._ledgers = [new_ledger() for _ in range(OWNERS)]
        self._model = ModelLedger()
        self._rows: dict[Any, Any] = {}
        self._offset = 0
        self._steps: list[tuple[int, list[Claim]]] = []

    async def play(self, plan: list[Any]) -> None:
        for act in plan:
            match act:
                case Step():
                    await self._step(act)
                case Both(first, second):
                    await self._step(first, second)
                case Restart(owner):
                    self._ledgers[owner] = self._new_ledger()
                case Compact():
                    await self._compact(self._pool)
                case Takeover(owner, step) if step < len(self._steps):
                    await self._decide_again(owner, *self._steps[step])

    async def _step(self, step: Step, second: Step | None = None) -> None:
        claims = self._claims(step)
        expected = await self._expected(step, claims)
        async with self._pool.acquire() as connection:
            tx = connection.transaction()
            await tx.start()
            verdicts = await self._ledgers[step.owner].admit(connection, step.partition, claims)
            other = asyncio.create_task(self._step(second)) if second is not None else None
            while other is not None and not other.done() and not await self._somebody_waits():
                await asyncio.wait({other}, timeout=0.002)
            await (tx.commit() if step.commits else tx.rollback())
        assert verdicts == expected
        if other is not None:
            await other

    async def _somebody_waits(self) -> bool:
        waiting: bool = await self._pool.fetchval(
            """
            SELECT EXISTS (
                SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'
            )
            """
        )
        return waiting

    async def _decide_again(self, owner: int, partition: int, claims: list[Claim]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            decided = await self._ledgers[owner].decided(connection, partition, claims)
        assert decided == await self._model.decided(self._rows, partition, claims)

    async def _expected(self, step: Step, claims: list[Claim]) -> list[Verdict]:
        rows = self._rows.copy()
        verdicts = await self._model.admit(rows, step.partition, claims)
        if step.commits:
            self._rows = rows
        return verdicts

    def _claims(self, step: Step) -> list[Claim]:
        """Claims in an envelope of their own."""
        self._offset += 1
        claims = [
            Claim(
                day=event.day,
                identity=self._hash(event.name // 2, 8) + self._hash(event.name, 8),
                digest=self._hash(event.content, 8),
                offset=self._offset,
                number=number,
                stamped=event.stamped,
                shard=event.name // 4,
            )
            for number, event in enumerate(step.events)
        ]
        self._steps.append((step.partition, claims))
        return claims

    def _hash(self, value: int, size: int) -> bytes:
        return blake2b(b"%d" % value, key=self._salt, digest_size=size).digest()


class SharedLedgerContract:
    examples = 40

    @pytest.fixture
    def compact(self) -> Compaction:
        return no_compaction

    async def test_owners_agree_with_a_dictionary(
        self, new_ledger: NewLedger, pool: asyncpg.Pool, compact: Compaction
    ) -> None:
        @settings(
            max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck)
        )
        @given(plans())
        def play(plan: list[Any]) -> None:
            waiting = asyncio.run_coroutine_threadsafe(
                World(new_ledger, pool, compact).play(plan), loop
            )
            waiting.result(timeout=60)

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(play)

    async def test_an_untimed_event_that_comes_on_both_sides_of_midnight_at_once(
        self, new_ledger: NewLedger, pool: asyncpg.Pool
    ) -> None:
        """Directly and by a node: each step finds nothing beside its day while the other runs."""
        for commits in (True, False):
            for first, second in ((DAY, DAY + 1), (DAY + 1, DAY)):
                world = World(new_ledger, pool)
                one = Step(0, 0, [Event(1, 0, first, stamped=True)], commits)
                other = Step(1, 1, [Event(1, 0, second, stamped=True)], commits=True)
                await world.play([Both(one, other)])

    async def test_an_owner_waits_for_another_that_claims_the_same(
        self, new_ledger: NewLedger, pool: asyncpg.Pool
    ) -> None:
        for commits in (True, False):
            world = World(new_ledger, pool)
            same = [Event(1, 0, DAY, stamped=False)]
            await world.play([Both(Step(0, 0, same, commits), Step(1, 1, same, commits=True))])

    async def test_identities_that_begin_alike_are_told_apart(
        self, new_ledger: NewLedger, pool: asyncpg.Pool
    ) -> None:
        world = World(new_ledger, pool)
        for name in (0, 1, 0, 1):
            await world.play([Step(name, 0, [Event(name, 0, DAY, stamped=False)], commits=True)])

    async def test_one_process_learns_what_another_admitted(
        self, new_ledger: NewLedger, pool: asyncpg.Pool
    ) -> None:
        world = World(new_ledger, pool)
        for owner in (0, 1, 0, 1, 0):
            known = [Event(name, 0, DAY, stamped=False) for name in range(owner, 8, 2)]
            await world.play([Step(owner, owner, known, commits=True)])
            again = [Event(name, 1, DAY, stamped=False) for name in range(8)]
            await world.play([Step(1 - owner, owner, again, commits=True)])

    async def test_an_owner_that_never_heard_of_its_commit(
        self, new_ledger: NewLedger, pool: asyncpg.Pool
    ) -> None:
        mine, other = new_ledger(), new_ledger()
        claims = [claim(f"unheard {next(_worlds)}", 1)]
        async with pool.acquire() as connection, connection.transaction():
            assert await mine.admit(connection, 0, claims) == [FRESH]
        for ledger in (other, mine):
            async with pool.acquire() as connection, connection.transaction():
                assert await ledger.decided(connection, 0, claims) == [True]
                again = [claims[0]._replace(offset=2)]
                assert await ledger.admit(connection, 0, again) == [DUPLICATE]
