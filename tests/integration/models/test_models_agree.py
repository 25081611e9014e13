"""The models of the stores against the stores: the same calls, by chance, get the same answers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from aggregator.store import backfills, meters
from common.contracts.charges import Charge
from common.db import create_pool
from common.periods import SLOT
from common.stream.memory import MemoryProgress, MemorySession, MemoryStore
from common.stream.progress import PostgresProgress
from common.usage import UsageProjection
from ingest.dedupe import DeadEvent, Tally
from ingest.packed.blocks import Packed
from ingest.sequence import NodeSequence
from ingest.store import accounting, dead_events, ledger_blocks, nodes
from ingest.store.ledger_blocks import Address, Written
from rating.store import charges
from tests.integration.common.test_usage_projection import LONG_SECONDS, START
from tests.integration.common.test_usage_projection import Model as Told
from tests.simulation.models import accounting as model_accounting
from tests.simulation.models import backfills as model_backfills
from tests.simulation.models import charges as model_charges
from tests.simulation.models import dead_events as model_dead_events
from tests.simulation.models import ledger_blocks as model_ledger_blocks
from tests.simulation.models import meters as model_meters
from tests.simulation.models import nodes as model_nodes
from tests.simulation.models.usage import ModelUsage
from tests.simulation.pipeline import catalog
from tests.support.databases import Database

pytestmark = pytest.mark.servers
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Both:
    """A database and its model, which are asked the same."""

    def __init__(self, pool: asyncpg.Pool, connection: asyncpg.Connection) -> None:
        self.pool, self.connection = pool, connection
        self.store = MemoryStore(clock=lambda: 0.0)
        self.model: Any = MemorySession(self.store, _pass).connection
        self.tx: Any = None

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """A transaction in both."""
        async with self.connection.transaction(), self.model.transaction() as self.tx:
            yield
        self.tx = None

    async def ask(self, store: ModuleType, model: ModuleType, name: str, *given: Any) -> Any:
        """What both answer; an error if they differ."""
        model_tx = self.tx if self.tx is not None else self.model
        one = await getattr(store, name)(self.connection, *given)
        other = await getattr(model, name)(model_tx, *given)
        assert one == other, f"{name}{given}"
        return one


@pytest.fixture
def both(database: Callable[..., Database]) -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(service: str) -> AsyncIterator[Both]:
        pool = await create_pool(database(service).service_url)
        try:
            async with pool.acquire() as connection:
                yield Both(pool, connection)
        finally:
            await pool.close()

    return opened


@pytest.mark.parametrize("seed", range(3))
async def test_nodes(both: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    keys = [(f"n{node}", f"e{epoch}") for node in range(2) for epoch in range(2)]
    next_seq = dict.fromkeys(keys, 1)
    async with both("ingest") as pair:
        for offset in range(25):
            key = random.choice(keys)
            async with pair.step():
                await pair.ask(nodes, model_nodes, "load_sequences", keys)
                first = next_seq[key] + random.choice((0, 0, 3))
                run = nodes.Run(*key, first, random.randbytes(8 * random.randint(1, 4)), offset, 1)
                next_seq[key] = run.last_seq + 1
                gaps = ((first - 2, first - 1),) if random.random() < 0.3 else ()
                seal = random.choice((None, random.randint(1, 99)))
                seen = nodes.Seen(
                    NodeSequence(next_seq[key], gaps),
                    random.randint(1, 99),
                    seal,
                    None if seal is None else random.randint(1, 99),
                )
                await pair.ask(nodes, model_nodes, "save", {key: seen})
                await pair.ask(nodes, model_nodes, "save_runs", offset % 2, [run])
            low = random.randint(1, next_seq[key])
            await pair.ask(nodes, model_nodes, "load_digests", key, low, low + random.randint(0, 5))
            await pair.ask(nodes, model_nodes, "taken_from", offset % 2, offset - 5, offset + 1)
        rows = await pair.connection.fetch("SELECT * FROM ingest.node_progress")
        kept = {(row["node"], row["epoch"]): row for row in rows}
        for key, seen in pair.store.tables[model_nodes.PROGRESS].items():
            row = kept[key]
            assert row["sealed_through_ms"] == seen.sealed_through_ms
            assert row["sealed_received_ms"] == seen.sealed_received_ms
            assert row["last_seen_ms"] == seen.last_seen_ms


@pytest.mark.parametrize("seed", range(3))
async def test_dead_events_and_the_accounting(both: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    states = ("open", "replaying", "discarded")
    async with both("ingest") as pair:
        for partition in (0, 1):
            for progress in (
                PostgresProgress(pair.pool, "ingest", ""),
                MemoryProgress(pair.store, _pass),
            ):
                await progress.claim("usage.received", partition, "w", 60, 7 + partition)
        for offset in range(20):
            partition = offset % 2
            parked = [_dead(random, offset, place) for place in range(random.randint(0, 3))]
            async with pair.step():
                await pair.ask(dead_events, model_dead_events, "park", partition, parked)
                tally = Tally(len(parked) + 5, 3, 2, len(parked))
                await pair.ask(accounting, model_accounting, "add", partition, tally)
            ids = random.choices(range(1, 30), k=4)
            for dead_id in ids[:2]:
                given = (dead_id, random.choice(states))
                one = await dead_events.move(pair.connection, *given, allowed=["open"])
                other = await model_dead_events.move(pair.model, *given, allowed=["open"])
                assert one == other
            async with pair.step():
                replaying = await pair.ask(dead_events, model_dead_events, "lock_replaying", ids)
                outcomes = {
                    dead_id: random.choice(("replayed", "duplicate", "conflict"))
                    for dead_id in sorted(replaying)
                }
                await pair.ask(dead_events, model_dead_events, "close_replays", outcomes)
            await pair.ask(accounting, model_accounting, "accounts")
        for dead_id in range(1, 40):
            row = await dead_events.get(pair.connection, dead_id)
            modelled = await model_dead_events.get(pair.model, dead_id)
            assert (row is None) == (modelled is None)
            for name in (dict(row) if row is not None else {}).keys() - {"changed_at"}:
                assert row[name] == modelled[name], name


@pytest.mark.parametrize("seed", range(3))
async def test_blocks_of_the_ledger(both: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    async with both("ingest") as pair:
        for _ in range(15):
            groups = sorted(random.sample(range(3), 2))
            written = []
            async with pair.step():
                for group in await pair.ask(ledger_blocks, model_ledger_blocks, "lock", groups):
                    token = random.getrandbits(60)
                    written += [
                        Written(
                            Address(group.grp, group.number + 1, part, token),
                            random.choice((5, 6)),
                            _packed(random),
                        )
                        for part in range(2)
                    ]
                await pair.ask(ledger_blocks, model_ledger_blocks, "write", written)
                for group in await pair.ask(ledger_blocks, model_ledger_blocks, "lock", groups):
                    one = await ledger_blocks.own(pair.connection, group)
                    other = await model_ledger_blocks.own(pair.tx, group)
                    assert sorted(one) == sorted(other)
            addresses = [block.address for block in written]
            one = await ledger_blocks.fetch(pair.connection, addresses)
            other = await model_ledger_blocks.fetch(pair.model, addresses)
            assert sorted(one) == sorted(other)
            for grp in groups:
                for day in (5, 6):
                    given = {"above": 2, "through": 9}
                    one = await ledger_blocks.of_day(pair.connection, grp, day, **given)
                    other = await model_ledger_blocks.of_day(pair.model, grp, day, **given)
                    assert one == other
                since = random.randint(0, 5)
                given = {"since": since, "number": 9, "days": [5], "known": [addresses[0].token]}
                assert await ledger_blocks.later(
                    pair.connection, grp, **given
                ) == await model_ledger_blocks.later(pair.model, grp, **given)


async def test_backfills(both: Callable[..., Any]) -> None:
    async with both("aggregator") as pair:
        for number, meter in enumerate((*catalog.BEGUN, catalog.LATER), 1):
            async with pair.step():
                revision = await pair.ask(meters, model_meters, "lock")
                put = catalog.meter_at(meter, revision)
                await pair.ask(meters, model_meters, "put", put)
            assert await pair.ask(meters, model_meters, "revision") == number
            slugs = [one.slug for one in await pair.ask(meters, model_meters, "meters")]
            async with pair.step():
                for shard in (0, 1):
                    given = (shard, slugs, 10 * number)
                    await pair.ask(backfills, model_backfills, "begin", *given)
            for shard in (0, 1):
                opened = await pair.ask(backfills, model_backfills, "open_backfill", shard)
                async with pair.step():
                    for _ in range(2):  # the second time it is not there any more
                        given = (opened, number, {0: number}, number == 2)
                        await pair.ask(backfills, model_backfills, "move", *given)


@pytest.mark.parametrize("seed", range(3))
async def test_charges(both: Callable[..., Any], seed: int) -> None:
    random = Random(seed)
    tenants = [f"t{number}" for number in range(6)]
    async with both("rating") as pair:
        for _ in range(15):
            async with pair.step():
                version = await pair.ask(charges, model_charges, "next_version")
                made = {
                    (tenant := random.choice(tenants)): _charge(random, tenant, version)
                    for _ in range(3)
                }
                await pair.ask(charges, model_charges, "write", list(made.values()))
            ids = [f"c-{tenant}" for tenant in random.sample(tenants, 2)]
            await pair.ask(charges, model_charges, "known", ids, ["s-t1"])
            partition, after = random.randint(0, 1), random.randint(0, version)
            one = await charges.unemitted(pair.connection, partition, 2, after, 2)
            other = await model_charges.unemitted(pair.model, partition, 2, after, 2)
            assert sorted(one, key=_id) == sorted(other, key=_id)
            await pair.ask(charges, model_charges, "note_emitted", partition, after)
            await pair.ask(charges, model_charges, "emitted_version", partition)
        async with pair.step():
            at = NOON + timedelta(hours=2)
            one = await charges.close(pair.connection, 1, 2, at)
            other = await model_charges.close(pair.tx, 1, 2, at)
        assert {charge.id for charge in one} == {charge.id for charge in other}


@pytest.mark.parametrize("aggregation", ["count", "sum", "max", "unique_count"])
async def test_the_projection_of_usage(both: Callable[..., Any], aggregation: str) -> None:
    random = Random(aggregation)
    told = Told(aggregation, random, LONG_SECONDS)
    told.run()
    deliveries = told.rollups + random.choices(told.rollups, k=30)
    random.shuffle(deliveries)
    stored, modelled = UsageProjection("rating", days=True), ModelUsage("rating", days=True)
    async with both("rating") as pair:
        while deliveries:
            batch = [deliveries.pop() for _ in range(min(len(deliveries), random.randint(1, 9)))]
            async with pair.step():
                await stored.upsert(pair.connection, batch)
                await modelled.upsert(pair.tx, batch)
            cuts = sorted(random.randrange(LONG_SECONDS // 10 + 1) for _ in range(2))
            places = [("t", "m", START + cuts[0] * SLOT, START + cuts[1] * SLOT)]
            one = await stored.usages(pair.connection, places)
            assert one == await modelled.usages(pair.model, places)


def _packed(random: Random) -> Packed:
    """A block of one identity."""
    name = random.randbytes(16)
    return Packed(1, name, name, name, random.randbytes(12), random.randbytes(8))


def _dead(random: Random, offset: int, place: int) -> DeadEvent:
    return DeadEvent(
        offset=offset,
        place=place,
        code="missing_field",
        message="id must be a string",
        raw=random.randbytes(5),
        received_at_ms=1_772_366_400_000 + offset,
        source=random.choice((None, "s")),
        node=random.choice((None, "n")),
    )


def _charge(random: Random, tenant: str, version: int) -> Charge:
    return Charge(
        id=f"c-{tenant}",
        tenant=tenant,
        subscription=f"s-{tenant}",
        plan="p",
        plan_version=1,
        price="x",
        period_from=NOON,
        period_to=NOON + timedelta(hours=random.randint(1, 4)),
        due_at=NOON + timedelta(hours=random.randint(1, 4)),
        quantity=Decimal(random.randint(0, 9)),
        amount=Decimal(random.randint(0, 9)),
        currency="EUR",
        version=version,
    )


def _id(charge: Charge) -> str:
    return charge.id


async def _pass(point: str) -> None:
    """Nothing happens on the way."""
