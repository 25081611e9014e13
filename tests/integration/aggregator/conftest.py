"""A fresh world a test: own topics, own database."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from common.migrations import migrate
from stack.environment import as_role
from tests.integration.aggregator.world import World
from tests.support.databases import Database


@pytest.fixture
async def world(
    kafka: str, topics: str, database: Callable[[str], Database]
) -> AsyncIterator[World]:
    world = World(kafka, topics, database("aggregator"))
    await world.bus.start()
    yield world
    await world.bus.stop()


@pytest.fixture(params=["hypertables", "plain tables"])
def schema(request: pytest.FixtureRequest, database: Callable[..., Database]) -> Database:
    """A migrated database, once as the server would have it and once without TimescaleDB."""
    if request.param == "hypertables":
        return database("aggregator")
    owner_url = database().owner_url
    with psycopg.connect(owner_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET tollgate.hypertables = 'off'").format(name)
        )
    service_url = as_role(owner_url, "aggregator")
    # migrate() runs an event loop, so it needs a thread that has none.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(
            migrate, "aggregator", database_url=service_url, migrations_url=owner_url
        ).result()
    return Database(owner_url, service_url)
