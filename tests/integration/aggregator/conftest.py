"""A fresh world a test: own topics, own database."""

from collections.abc import AsyncIterator, Callable

import pytest

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
