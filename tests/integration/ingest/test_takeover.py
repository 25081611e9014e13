"""A successor emits what its predecessor emitted, byte by byte."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from common.bus.memory import MemoryBus
from common.bus.types import Message
from common.contracts.control import is_control, tick_record
from common.contracts.received import Envelope, envelope_record
from common.contracts.topics import EVENTS, RECEIVED
from common.db import connect
from common.stream import Position
from common.stream.processor import Partition
from ingest.accept import Acceptance, Frame
from ingest.packed.ledger import PackedLedger
from ingest.store import dead_events
from ingest.worker import Deduper
from tests.integration.ingest.conftest import event
from tests.support.databases import Database

NOW = 1_800_000_000_000


class OneSession:
    """The connection of a partition that nobody else wants."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection


@pytest.fixture(scope="module")
def database_url(database: Callable[..., Database]) -> str:
    return database("ingest").service_url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url)
    for table in ("ledger_blocks", "node_progress", "node_batches", "dead_events", "accounting"):
        await connection.execute(f"DELETE FROM ingest.{table}")
    yield connection
    await connection.close()


class Owner:
    """Owns partition 0 of usage.received and steps over it."""

    def __init__(self, bus: MemoryBus, connection: asyncpg.Connection, position: Position) -> None:
        self.stage = Deduper(bus=bus, ledger=PackedLedger(), inputs=1, outputs=4)
        self.part = Partition(position, OneSession(connection))  # type: ignore[arg-type]

    async def step(self, messages: Sequence[Message]) -> None:
        data = [message for message in messages if not is_control(message)]
        async with self.part.connection.transaction():
            self.part.position = msgspec.structs.replace(
                self.part.position, next_offset=messages[-1].offset + 1
            )
            effect = await self.stage.apply(self.part.connection, self.part, data)
        await self.stage.emit(self.part, effect)


def emitted(bus: MemoryBus) -> list[tuple[Any, ...]]:
    return [
        (message.partition, message.key, message.value, message.headers)
        for partition in range(4)
        for message in bus.messages(EVENTS.name, partition)
        if not is_control(message)
    ]


def accepted(raws: list[Any], frame: Frame | None = None) -> Envelope:
    acceptance = Acceptance(NOW, frame)
    for place, raw in enumerate(raws):
        acceptance.add(place, json.dumps(raw).encode())
    (envelope,) = acceptance.envelopes()
    return envelope


def own(seq: int, **more: Any) -> dict[str, Any]:
    return moment(f"e-{seq}", source="edge", **more)


def moment(event_id: str, **more: Any) -> dict[str, Any]:
    return event(event_id, **{"time": "2027-01-15T07:00:00Z"} | more)


async def envelopes(connection: asyncpg.Connection) -> list[Envelope]:
    """Fresh ones, copies, conflicts, bad ones, overlapping batches, and replays."""
    await connection.execute(
        """
        INSERT INTO ingest.dead_events
            (origin_partition, origin_offset, place, state, code, message, raw, truncated,
             received_at)
        VALUES (3, 1, 0, 'replaying', 'in_future', '', '', false, now())
        """
    )
    dead_id = await connection.fetchval("SELECT id FROM ingest.dead_events")
    subjects = [moment(str(n), subject=f"t{n}") for n in range(20)]
    replay = msgspec.structs.replace(accepted([moment("back")]), replay_of=dead_id)
    return [
        accepted(subjects[:10]),
        accepted([*subjects[5:15], moment("1", data=0)]),
        accepted([own(1), own(2), {"id": "bad"}, moment("a")], Frame("edge", "e", 1, None)),
        accepted([own(2), {"id": "bad"}, moment("a"), own(5)], Frame("edge", "e", 2, NOW)),
        accepted([own(2, data=5), moment("3", subject="t3")], Frame("edge", "e", 2, NOW)),
        accepted([moment("b"), own(8), moment("a")], Frame("edge", "e", 7, None)),
        replay,
        replay,
        accepted([moment("back"), moment("c", time=None), moment("c", time=None)]),
    ]


async def test_a_takeover_emits_the_same_records(connection: asyncpg.Connection) -> None:
    bus = MemoryBus(partitions=4)
    await bus.append(RECEIVED.name, {0: [tick_record()]})
    for envelope in await envelopes(connection):
        await bus.append(RECEIVED.name, {0: [envelope_record(envelope)]})
    log = bus.messages(RECEIVED.name, 0)
    owner = Owner(bus, connection, Position(topic=RECEIVED.name, partition=0))
    await owner.stage.recover(owner.part)
    await owner.step(log[:4])
    await owner.step(log[4:6])
    await owner.step(log[6:])
    first = emitted(bus)
    assert sum(len(json.loads(value)) for _, _, value, _ in first) == 10 + 5 + 3 + 1 + 2 + 1 + 1

    position = msgspec.structs.replace(owner.part.position, emitted_offset=0)
    successor = Owner(bus, connection, position)
    await successor.stage.recover(successor.part)
    assert successor.part.emitted_offset == len(log)
    again = sorted(emitted(bus))
    assert again == sorted(first * 2)


async def test_the_books_are_kept_step_by_step(connection: asyncpg.Connection) -> None:
    bus = MemoryBus(partitions=4)
    for envelope in await envelopes(connection):
        await bus.append(RECEIVED.name, {0: [envelope_record(envelope)]})
    owner = Owner(bus, connection, Position(topic=RECEIVED.name, partition=0))
    await owner.stage.recover(owner.part)
    await owner.step(bus.messages(RECEIVED.name, 0))
    row = await connection.fetchrow("SELECT * FROM ingest.accounting")
    # One of the parked was brought back: it had been counted as parked where it was received.
    assert dict(row) == {
        "partition": 0,
        "received": 10 + 11 + 4 + 4 + 2 + 3 + 3,
        "counted": 23,
        "duplicates": 5 + 3 + 1 + 2,
        "parked": 1 + 1 + 2 - 1,
    }
    dead = await dead_events.page(
        connection, source=None, code=None, state=None, before=None, limit=10
    )
    assert sorted((d["code"], d["state"]) for d in dead) == [
        ("identity_conflict", "open"),
        ("in_future", "replayed"),
        ("missing_field", "open"),
        ("sequence_conflict", "open"),
        ("sequence_conflict", "open"),
    ]
