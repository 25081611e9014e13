"""Rating on real servers: rollups in, charges out."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from common.bus.admin import apply_topics, touch_topics
from common.bus.kafka import KafkaBus
from tests.integration.rating.world import World
from tests.support.databases import Database
from tests.support.servers import SessionServers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_topics(servers: SessionServers, kafka: str) -> str:
    """A topic prefix for all tests of a module, under which all topics exist."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    if servers.kafka_is_real:
        await apply_topics(kafka, prefix=prefix)
    else:
        await touch_topics(kafka, prefix=prefix)
    return prefix


@pytest.fixture
async def world(
    kafka: str, topics: str, database: Callable[[str], Database]
) -> AsyncIterator[World]:
    """Topics and a database; start services with `world.start(...)`."""
    bus = KafkaBus(kafka, prefix=topics)
    await bus.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.stop)
        yield World(
            stack, bus, kafka, topics, database("rating"), datetime(2026, 11, 20, 12, tzinfo=UTC)
        )
