"""The bus on Kafka keeps the contract, and its waits are bounded whatever the broker does."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import cramjam
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.codec import lz4_encode
from aiokafka.errors import KafkaError
from aiokafka.record._crecords import default_records
from aiokafka.structs import TopicPartition

from common.bus import BusError, Record
from common.bus import kafka as kafka_module
from common.bus.admin import apply_topics
from common.bus.group_offsets import GroupOffsets
from common.bus.kafka import KafkaBus
from common.bus.types import OffsetLost
from common.contracts.topics import ALL_TOPICS, Topic
from common.stream import Position
from tests.support.bus_contract import PARTITIONS, BusContract, read_all, read_some, records
from tests.support.eventually import eventually
from tests.support.proxy import Proxy

pytestmark = pytest.mark.servers
WORDS = Topic("words", "none", compacted=False, retention_hours=1)


@pytest.fixture
async def topic(kafka: str, topic_prefix: str) -> str:
    await apply_topics(kafka, prefix=topic_prefix, partitions=PARTITIONS, topics=[WORDS])
    return WORDS.name


@pytest.fixture
async def bus(kafka: str, topic_prefix: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(kafka, prefix=topic_prefix, append_seconds=5)
    await bus.start()
    yield bus
    await bus.stop()


class TestKafkaBus(BusContract):
    async def test_what_retention_took_is_lost(
        self, bus: KafkaBus, topic: str, kafka: str, topic_prefix: str
    ) -> None:
        await bus.append(topic, {0: records("a", "b", "c")})
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        place = TopicPartition(topic_prefix + topic, 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=2)})
        await admin.close()
        reader = await bus.reader(topic, 0, 0)
        try:
            with pytest.raises(OffsetLost):
                await read_some(reader, 1)
            assert await bus.beginning_offset(topic, 0) == 2
            await reader.seek(2)
            assert [m.value for m in await read_some(reader, 1)] == [b"c"]
        finally:
            await reader.close()

    async def test_a_refused_batch_leaves_no_hole(self, bus: KafkaBus, topic: str) -> None:
        """The producer would go on with what follows a record that the broker refuses."""
        too_big = Record(b"k", os.urandom(9 * 2**20))
        batch = [*records("first"), too_big, *records("after")]
        with pytest.raises(BusError):
            await bus.append(topic, {0: [*batch, Record(b"k", bytes(600 * 1024)), *batch]})

        await bus.append(topic, {0: records("next")})

        found = await read_all(bus, topic, 0, await bus.end_offset(topic, 0))
        assert [m.value for m in found] in ([b"first", b"next"], [b"next"])

    async def test_a_reader_that_is_closed_can_be_closed_again(
        self, bus: KafkaBus, topic: str
    ) -> None:
        reader = await bus.reader(topic, 0, 0)
        await reader.close()
        await reader.close()
        with pytest.raises(BusError):
            await reader.read(1, 0.1)

    async def test_after_stop_nothing_is_appended(self, bus: KafkaBus, topic: str) -> None:
        await bus.stop()
        with pytest.raises(BusError):
            await bus.append(topic, {0: records("a")})
        await bus.start()
        await bus.append(topic, {0: records("a")})


def test_compression_is_at_level_one() -> None:
    """aiokafka would take level 9 at a third of the throughput."""
    data = b"".join(b"%d some words that repeat %d" % (n, n % 7) for n in range(20_000))
    used = bytes(default_records.lz4_encode(data))
    assert used == bytes(lz4_encode(data, level=1))
    assert used != bytes(lz4_encode(data, level=9))
    assert bytes(cramjam.lz4.decompress(used)) == data


class TestDeadBroker:
    """Nobody answers: every call ends with `BusError` in bounded time."""

    async def test_a_refused_connection(self) -> None:
        bus = KafkaBus("127.0.0.1:1", append_seconds=3)
        began = time.monotonic()
        with pytest.raises(BusError, match="cannot reach"):
            await bus.start()
        with pytest.raises(BusError):
            await bus.append("words", {0: records("a")})
        with pytest.raises(BusError):
            await bus.reader("words", 0, 0)
        with pytest.raises(BusError):
            await bus.end_offset("words", 0)
        await bus.stop()
        assert time.monotonic() - began < 15

    async def test_a_port_that_accepts_and_says_nothing(self) -> None:
        async with Proxy("127.0.0.1", 1) as silent:
            silent.cut()
            bus = KafkaBus(silent.address, append_seconds=1)
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(bus.append("words", {0: records("a")}) for _ in range(50)),
                return_exceptions=True,
            )
            assert all(isinstance(outcome, BusError) for outcome in outcomes)
            assert time.monotonic() - began < 5, "fifty callers must wait together, not in turn"
            await bus.stop()

    async def test_topics_cannot_be_applied(self) -> None:
        with pytest.raises(BusError):
            await apply_topics("127.0.0.1:1")


class TestBrokenBroker:
    """A broker that goes away in the middle and comes back."""

    async def test_the_producer_is_replaced_and_nothing_leaks(
        self, kafka: str, topic: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host, _, port = kafka.rpartition(":")
        async with Proxy(host, int(port)) as proxy:
            _connect_through(monkeypatch, kafka, proxy)
            bus = KafkaBus(kafka, prefix=topic_prefix, append_seconds=2)
            await bus.append(topic, {0: records("before")})
            first = bus._producer
            assert _senders() == 1

            proxy.cut()
            began = time.monotonic()
            with pytest.raises(BusError):
                await bus.append(topic, {0: records("lost", "or", "not")})
            assert time.monotonic() - began < 5

            proxy.heal()
            await eventually(lambda: _appended(bus, topic, "after"), timeout=30)
            assert bus._producer is not first
            await eventually(lambda: not bus._retiring, timeout=15)
            await eventually(lambda: _senders() == 1, timeout=10)
            end = await bus.end_offset(topic, 0)
            values = [m.value for m in await read_all(bus, topic, 0, end)]
            await bus.stop()
        assert values[0] == b"before"
        assert values[-1] == b"after"

    async def test_stop_is_bounded_while_the_broker_is_away(
        self, kafka: str, topic: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kafka_module, "STOP_SECONDS", 1.0)
        host, _, port = kafka.rpartition(":")
        async with Proxy(host, int(port)) as proxy:
            _connect_through(monkeypatch, kafka, proxy)
            bus = KafkaBus(kafka, prefix=topic_prefix, append_seconds=1)
            await bus.append(topic, {0: records("before")})
            reader = await bus.reader(topic, 0, 0)
            proxy.cut()
            with pytest.raises(BusError):
                await bus.append(topic, {0: records("x", "y")})

            began = time.monotonic()
            await reader.close()
            await bus.stop()
            assert time.monotonic() - began < 10

    async def test_a_producer_is_rotated(
        self, bus: KafkaBus, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its sequence numbers would wrap at 2^31 records a partition."""
        monkeypatch.setattr(kafka_module, "ROTATE_AFTER_RECORDS", 100)
        first = bus._producer
        for _ in range(3):
            await bus.append(topic, {0: records(*map(str, range(60)))})
        assert bus._producer is not first
        assert await bus.end_offset(topic, 0) == 180


class TestTopics:
    async def test_applying_twice_changes_nothing(self, kafka: str, topic_prefix: str) -> None:
        made = await apply_topics(kafka, prefix=topic_prefix)
        assert set(made) == {topic_prefix + topic.name for topic in ALL_TOPICS}
        assert await apply_topics(kafka, prefix=topic_prefix) == []

    async def test_topics_stamp_records_and_are_kept_as_declared(
        self, kafka: str, topic_prefix: str
    ) -> None:
        await apply_topics(kafka, prefix=topic_prefix)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            for topic in ALL_TOPICS:
                await eventually(partial(_is_configured, admin, topic_prefix, topic))
        finally:
            await admin.close()


class TestGroupOffsets:
    async def test_positions_are_seen_by_kafkas_own_tools(
        self, kafka: str, topic: str, topic_prefix: str, bus: KafkaBus
    ) -> None:
        await bus.append(topic, {0: records("a", "b", "c"), 1: records("x")})
        mirror = GroupOffsets(kafka, "counting", prefix=topic_prefix)
        running = asyncio.create_task(mirror.run())
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            mirror.note(Position(topic=topic, partition=0, next_offset=2))
            await eventually(lambda: _offset(admin, topic_prefix, 0, 2), timeout=30)
            mirror.note(Position(topic=topic, partition=0, next_offset=3))
            mirror.note(Position(topic=topic, partition=1, next_offset=1))
            await eventually(lambda: _offset(admin, topic_prefix, 0, 3), timeout=10)
            await eventually(lambda: _offset(admin, topic_prefix, 1, 1), timeout=10)
        finally:
            mirror.stop()
            await asyncio.wait_for(running, 10)
            await admin.close()

    async def test_a_broker_that_is_away_disturbs_nobody(self) -> None:
        mirror = GroupOffsets("127.0.0.1:1", "counting")
        running = asyncio.create_task(mirror.run())
        mirror.note(Position(topic="words", partition=0, next_offset=2))
        await asyncio.wait({running}, timeout=0.5)
        assert not running.done()
        mirror.stop()
        await asyncio.wait_for(running, 10)


async def _is_configured(admin: AIOKafkaAdminClient, prefix: str, topic: Topic) -> bool:
    wanted = topic.config()
    resource = ConfigResource(ConfigResourceType.TOPIC, prefix + topic.name, dict.fromkeys(wanted))
    (answer,) = await admin.describe_configs([resource])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]} == wanted


def _senders() -> int:
    """How many producers are at work."""
    return sum("_sender_routine" in repr(task) for task in asyncio.all_tasks())


async def _offset(admin: AIOKafkaAdminClient, prefix: str, partition: int, offset: int) -> bool:
    try:
        found = await admin.list_consumer_group_offsets(prefix + "counting")
    except KafkaError:  # a fresh broker makes its coordinator at the first question
        return False
    place = TopicPartition(prefix + WORDS.name, partition)
    return place in found and found[place].offset == offset


async def _appended(bus: KafkaBus, topic: str, value: str) -> bool:
    try:
        await bus.append(topic, {0: records(value)})
    except BusError:
        return False
    return True


def _connect_through(monkeypatch: pytest.MonkeyPatch, kafka: str, proxy: Proxy) -> None:
    """Every connection to the broker goes through the proxy, also those to advertised ports."""
    from aiokafka import client, conn

    port = int(kafka.rpartition(":")[2])
    genuine = conn.create_conn

    async def create_conn(host: str, to: int, **options: Any) -> Any:
        return await genuine(host, proxy.port if to == port else to, **options)

    monkeypatch.setattr(client, "create_conn", create_conn)
