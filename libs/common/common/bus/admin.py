"""Creates the topics, from the contracts, never implicitly."""

import asyncio
import logging
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from common.bus.types import BusError
from common.contracts.topics import ALL_TOPICS, DEFAULT_PARTITIONS, Topic

log = logging.getLogger(__name__)

RETRY_SECONDS = 20.0
"""A broker that has only just started, or was too busy to say it lives, refuses for so long."""
MAX_MESSAGE_BYTES = 8 * 2**20
"""Room for an envelope of 1 MiB of events with its index."""


async def apply_topics(
    bootstrap: str,
    *,
    prefix: str = "",
    partitions: int = DEFAULT_PARTITIONS,
    replication: int = 1,
    topics: Iterable[Topic] = ALL_TOPICS,
) -> list[str]:
    """Create the topics that do not exist yet and return their names.

    Partition counts and settings of existing topics are left alone. Raises `BusError` when the
    cluster refuses or cannot be reached.
    """
    made: list[str] = []
    wanted = list(topics)
    deadline = asyncio.get_running_loop().time() + RETRY_SECONDS
    while True:
        try:
            async with asyncio.timeout(60):
                new, refused = await _create(bootstrap, prefix, partitions, replication, wanted)
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusError(f"topics at {bootstrap}: {error!r}") from error
        made += new
        if not refused:
            return made
        if asyncio.get_running_loop().time() > deadline:
            raise BusError(f"topics at {bootstrap}: {refused}")
        await asyncio.sleep(1)


async def _create(
    bootstrap: str, prefix: str, partitions: int, replication: int, topics: list[Topic]
) -> tuple[list[str], list[str]]:
    """(names made, reasons of refusals)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if prefix + topic.name not in existing]
        response = await admin.create_topics(
            [
                NewTopic(
                    name=prefix + topic.name,
                    num_partitions=partitions,
                    replication_factor=replication,
                    topic_configs=topic.config()
                    | {
                        "max.message.bytes": str(MAX_MESSAGE_BYTES),
                        "min.insync.replicas": "2" if replication >= 3 else "1",
                    },
                )
                for topic in missing
            ]
        )
    finally:
        await admin.close()
    made, refused = [], []
    for name, code, *rest in response.topic_errors:
        if not code:
            made.append(name)
        elif for_code(code) is not TopicAlreadyExistsError:
            refused.append(f"{name}: {for_code(code).__name__} {rest}")
    return made, refused


async def touch_topics(
    bootstrap: str, *, prefix: str = "", topics: Iterable[Topic] = ALL_TOPICS
) -> None:
    """Make a broker that creates topics on first use (librdkafka's mock) create them now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        for topic in topics:
            await consumer._client._wait_on_metadata(prefix + topic.name)
    finally:
        await consumer.stop()
