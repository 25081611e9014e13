"""The bus on Kafka, through aiokafka.

What is guarded here, each because it bites: an idempotent producer never times out by itself, so
every wait has its own limit; a producer that failed once may never work again, so it is replaced;
its sequence numbers wrap at 2^31 records a partition, so it is rotated long before; it goes on with
the next batch of a partition when one was refused, so batches of an append wait for each other;
consumer groups are not used at all, positions live with the effects they belong to.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.codec import lz4_encode
from aiokafka.errors import (
    ConsumerStoppedError,
    KafkaError,
    OffsetOutOfRangeError,
    ProducerClosed,
)
from aiokafka.record._crecords import default_records

from common.bus.types import BusError, Message, OffsetLost, Reader, Record

log = logging.getLogger(__name__)

APPEND_SECONDS: Final = 15.0
"""How long an append may wait for its acks before its outcome is called unknown."""
ROTATE_AFTER_RECORDS: Final = 500_000_000
"""A producer is replaced after this many records; the protocol's limit is 2^31 a partition."""
MAX_RECORD_BYTES: Final = 8 * 2**20
STOP_SECONDS: Final = 5.0
"""How long a client may take to stop before its connections are dropped."""


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
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._sent = 0
        self._offsets: AIOKafkaConsumer | None = None
        self._offsets_lock = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        self._stopped = False
        await self._live_producer()

    async def stop(self) -> None:
        self._stopped = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        producer, self._producer = self._producer, None
        offsets, self._offsets = self._offsets, None
        for client in (producer, offsets):
            if client is not None:
                self._stop_beside(client)
        if self._retiring:
            await asyncio.wait(list(self._retiring))

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        producer = await self._live_producer()
        filled = [(partition, records) for partition, records in batches.items() if records]
        try:
            async with asyncio.timeout(self._append_seconds):
                await self._send_all(producer, self._prefix + topic, filled)
        except (TimeoutError, KafkaError, AssertionError, OSError) as error:
            self._retire(producer, at_once=isinstance(error, TimeoutError))
            raise BusError(f"append to {topic} not confirmed: {error!r}") from error
        self._sent += sum(len(records) for records in batches.values())
        if self._sent >= ROTATE_AFTER_RECORDS:
            self._retire(producer)

    async def _send_all(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        batches: Sequence[tuple[int, Sequence[Record]]],
    ) -> None:
        if len(batches) == 1:  # a request of the API: tasks would cost more than the sending
            await _send(producer, topic, *batches[0])
            return
        sends = [
            asyncio.create_task(_send(producer, topic, partition, records))
            for partition, records in batches
        ]
        try:
            await asyncio.gather(*sends)
        finally:
            for send in sends:  # what has not been handed over yet must not follow a failure
                send.cancel()

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        consumer = self._consumer()
        await self._start(consumer)
        place = TopicPartition(self._prefix + topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        return _KafkaReader(consumer, place, topic)

    async def partitions(self, topic: str) -> int:
        producer = await self._live_producer()
        known = producer.client.cluster.partitions_for_topic(self._prefix + topic)
        if known:  # the client keeps this up to date; most calls are answered here
            return len(known)
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

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        place = TopicPartition(self._prefix + topic, partition)

        async def ask(consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
            found = (await consumer.offsets_for_times({place: timestamp_ms}))[place]
            if found is not None:
                return {place: found.offset}
            ends: dict[TopicPartition, int] = await consumer.end_offsets([place])
            return ends

        return await self._offset(place, ask)

    async def _live_producer(self) -> AIOKafkaProducer:
        """The producer; everybody who comes while one is being started waits for that one start,
        so that a broker which does not answer fails them all together."""
        if self._producer is not None:
            return self._producer
        if self._stopped:
            raise BusError("the bus has been stopped")
        if self._starting is None:
            self._starting = asyncio.create_task(self._new_producer())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise BusError("the bus has been stopped") from None
            raise

    async def _new_producer(self) -> AIOKafkaProducer:
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
        try:
            await self._start(producer)
            self._producer, self._sent = producer, 0
            return producer
        finally:
            self._starting = None

    async def _start(self, client: Any) -> None:
        try:
            async with asyncio.timeout(self._append_seconds):
                await client.start()
        except (TimeoutError, KafkaError, OSError) as error:
            self._stop_beside(client)
            raise BusError(f"cannot reach Kafka at {self._bootstrap}: {error!r}") from error
        except BaseException:
            self._stop_beside(client)
            raise

    def _retire(self, producer: AIOKafkaProducer, *, at_once: bool = False) -> None:
        """Stop using a producer; the next append builds another. `at_once`: what it still holds
        is given up, rather than delivered behind what its successor appends."""
        if self._producer is producer:
            self._producer = None
        self._stop_beside(producer, at_once=at_once)

    def _stop_beside(self, client: Any, *, at_once: bool = False) -> None:
        task = asyncio.create_task(_abort(client) if at_once else _stop_quietly(client))
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
                    self._stop_beside(broken)
                raise BusError(f"offsets of {place.topic}: {error!r}") from error


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Record]
) -> None:
    """Append to one partition. A batch is handed over when the one before it was acknowledged:
    the producer would go on after one that was refused, and leave a hole."""
    if len(records) == 1:  # the producer's own batching merges concurrent callers
        one = records[0]
        headers = list(one.headers)
        await (await producer.send(topic, one.value, one.key, partition, headers=headers))
        return
    batch = producer.create_batch()
    for record in records:
        fields = {"key": record.key, "value": record.value, "headers": list(record.headers)}
        if batch.append(timestamp=None, **fields) is None:
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=None, **fields)
    await (await producer.send_batch(batch, topic, partition=partition))


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
        except (TimeoutError, KafkaError, ConsumerStoppedError) as error:
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
    """Stop a producer or consumer. Their stop() may hang for ever when brokers are away, and a
    producer's sender outlives it, so after `STOP_SECONDS` it is torn down from inside."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await client.stop()
        return
    except asyncio.CancelledError:
        # A consumer that is stopped right after its start lets the cancellation of a task of its
        # own escape; it is not ours unless somebody has asked this task to end.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
    except (TimeoutError, KafkaError, OSError, AssertionError) as error:
        log.warning("closing a Kafka client took too long or failed: %r", error)
    await _abort(client)


async def _abort(client: Any) -> None:
    """End a producer or consumer without delivering what it holds; who waits for it is told."""
    sender = getattr(client, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        for _ in range(10):  # when cancelled once, it waits for its requests under way
            sender.sender_task.cancel()
            await asyncio.wait([sender.sender_task], timeout=0.05)
        client._message_accumulator.fail_all(ProducerClosed())
    client._closed = True
    inner = getattr(client, "client", None) or getattr(client, "_client", None)
    if inner is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(inner.close(), 2)
