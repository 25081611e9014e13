"""Rating on real servers: rollups in, charges out."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from common.bus.kafka import KafkaBus
from tests.integration.rating.world import World
from tests.support.databases import Database


@pytest.fixture(scope="module")
def rating_database(database: Callable[..., Database]) -> Database:
    """One database a module: tests use tenants of their own."""
    return database("rating")


@pytest.fixture
def fresh_database(database: Callable[..., Database]) -> Database:
    """A database that this test has for itself."""
    return database("rating")


@pytest.fixture
async def world(kafka: str, topics: str, fresh_database: Database) -> AsyncIterator[World]:
    """Topics and a database; start services with `world.start(...)`."""
    bus = KafkaBus(kafka, prefix=topics)
    await bus.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.stop)
        yield World(
            stack, bus, kafka, topics, fresh_database, datetime(2026, 11, 20, 12, tzinfo=UTC)
        )
