"""The bus on Kafka, through aiokafka.

What is guarded here, each because it bites: an idempotent producer never times out by itself, so
every wait has its own limit; a producer that failed once may never work again, so it is replaced;
its sequence numbers wrap at 2^31 records a partition, so it is rotated long before; consumer
groups are not used at all, positions live with the effects they belong to.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.codec import lz4_encode
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.record._crecords import default_records

from common.bus.types import BusError, Message, OffsetLost, Reader, Record

log = logging.getLogger(__name__)

APPEND_SECONDS: Final = 15.0
"""How long an append may wait for its acks before its outcome is called unknown."""
ROTATE_AFTER_RECORDS: Final = 500_000_000
"""A producer is replaced after this many records; the protocol's limit is 2^31 a partition."""
MAX_RECORD_BYTES: Final = 8 * 2**20
SEND_ONE_BY_ONE: Final = 2
"""Up to this many records a partition go through the producer's own batching, which merges
concurrent callers; more are packed into batches of our own, ten times cheaper a record."""


# aiokafka compresses at level 9 and has no setting; level 1 costs a seventh of the time.
default_records.lz4_encode = functools.partial(lz4_encode, level=1)


class KafkaBus:
    """`Bus` on a Kafka cluster. `prefix` stands before every topic name, so that several
    deployments can share a cluster."""

    def __init__(
        self, bootstrap: str, *, prefix: str = "", append_seconds: float = APPEND_SECONDS
    ) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._append_seconds = append_seconds
        self._producer: AIOKafkaProducer | None = None
        self._producer_lock = asyncio.Lock()
        self._sent = 0
        self._offsets: AIOKafkaConsumer | None = None
        self._offsets_lock = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._live_producer()

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        offsets, self._offsets = self._offsets, None
        if producer is not None:
            await _stop_quietly(producer)
        if offsets is not None:
            await _stop_quietly(offsets)
        for task in list(self._retiring):
            await task

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        producer = await self._live_producer()
        try:
            async with asyncio.timeout(self._append_seconds):
                acks: list[asyncio.Future[Any]] = []
                for partition, records in batches.items():
                    acks += await self._send(producer, self._prefix + topic, partition, records)
                if acks:
                    await asyncio.gather(*acks)
        except (TimeoutError, KafkaError, AssertionError) as error:
            self._retire(producer)
            raise BusError(f"append to {topic} not confirmed: {error!r}") from error
        self._sent += sum(len(records) for records in batches.values())
        if self._sent >= ROTATE_AFTER_RECORDS:
            self._retire(producer)

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        consumer = self._consumer()
        try:
            async with asyncio.timeout(self._append_seconds):
                await consumer.start()
        except (TimeoutError, KafkaError) as error:
            await _stop_quietly(consumer)
            raise BusError(f"cannot read {topic}/{partition}: {error!r}") from error
        place = TopicPartition(self._prefix + topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        return _KafkaReader(consumer, place, topic)

    async def partitions(self, topic: str) -> int:
        producer = await self._live_producer()
        try:
            async with asyncio.timeout(self._append_seconds):
                found = await producer.partitions_for(self._prefix + topic)
        except (TimeoutError, KafkaError) as error:
            raise BusError(f"topic {topic}: {error!r}") from error
        if not found:
            raise BusError(f"topic {topic} does not exist; create it with `tollgate topics apply`")
        return len(found)

    async def beginning_offset(self, topic: str, partition: int) -> int:
        place = TopicPartition(self._prefix + topic, partition)
        return await self._offset(place, lambda consumer: consumer.beginning_offsets([place]))

    async def end_offset(self, topic: str, partition: int) -> int:
        place = TopicPartition(self._prefix + topic, partition)
        return await self._offset(place, lambda consumer: consumer.end_offsets([place]))

    async def _live_producer(self) -> AIOKafkaProducer:
        async with self._producer_lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    linger_ms=2,
                    max_batch_size=512 * 1024,
                    max_request_size=2 * MAX_RECORD_BYTES,
                    request_timeout_ms=10_000,
                )
                await self._start(producer)
                self._producer, self._sent = producer, 0
            return self._producer

    async def _start(self, client: Any) -> None:
        try:
            async with asyncio.timeout(self._append_seconds):
                await client.start()
        except (TimeoutError, KafkaError) as error:
            await _stop_quietly(client)
            raise BusError(f"cannot reach Kafka at {self._bootstrap}: {error!r}") from error

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Record]
    ) -> list[asyncio.Future[Any]]:
        if len(records) <= SEND_ONE_BY_ONE:
            return [
                await producer.send(
                    topic, r.value, key=r.key, partition=partition, headers=list(r.headers)
                )
                for r in records
            ]
        acks = []
        batch = producer.create_batch()
        for record in records:
            fields = {"key": record.key, "value": record.value, "headers": list(record.headers)}
            if batch.append(timestamp=None, **fields) is None:
                acks.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(timestamp=None, **fields)
        acks.append(await producer.send_batch(batch, topic, partition=partition))
        return acks

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """Stop using a producer; the next append builds another."""
        if self._producer is producer:
            self._producer = None
        task = asyncio.create_task(_stop_quietly(producer))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=4 * 2**20,
            request_timeout_ms=15_000,
            retry_backoff_ms=100,
        )

    async def _offset(self, place: TopicPartition, ask: Any) -> int:
        # A consumer that tails would answer only after its long poll, so this one reads nothing.
        async with self._offsets_lock:
            try:
                if self._offsets is None:
                    consumer = self._consumer()
                    await self._start(consumer)
                    self._offsets = consumer
                async with asyncio.timeout(self._append_seconds):
                    return int((await ask(self._offsets))[place])
            except (TimeoutError, KafkaError) as error:
                broken, self._offsets = self._offsets, None
                if broken is not None:
                    await _stop_quietly(broken)
                raise BusError(f"offsets of {place.topic}: {error!r}") from error


class _KafkaReader:
    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition, topic: str) -> None:
        self._consumer, self._place, self._topic = consumer, place, topic

    async def read(self, max_messages: int, wait_seconds: float) -> list[Message]:
        try:
            async with asyncio.timeout(wait_seconds + 30):
                found = await self._consumer.getmany(
                    self._place, timeout_ms=int(wait_seconds * 1000), max_records=max_messages
                )
        except OffsetOutOfRangeError as error:
            raise OffsetLost(f"{self._topic}/{self._place.partition}: {error!r}") from error
        except (TimeoutError, KafkaError) as error:
            raise BusError(f"reading {self._topic}: {error!r}") from error
        return [
            Message(
                topic=self._topic,
                partition=self._place.partition,
                offset=r.offset,
                timestamp_ms=r.timestamp,
                log_append_time=r.timestamp_type == 1,
                key=r.key,
                value=r.value,
                headers=tuple(r.headers),
            )
            for r in found.get(self._place, [])
        ]

    async def seek(self, offset: int) -> None:
        self._consumer.seek(self._place, offset)

    async def close(self) -> None:
        await _stop_quietly(self._consumer)


async def _stop_quietly(client: Any) -> None:
    """Stop a producer or consumer; their stop() may hang for ever when brokers are away."""
    try:
        async with asyncio.timeout(5):
            await client.stop()
    except (TimeoutError, KafkaError, OSError, AssertionError) as error:
        log.warning("closing a Kafka client took too long or failed: %r", error)
        inner = getattr(client, "client", None) or getattr(client, "_client", None)
        if inner is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(inner.close(), 2)
