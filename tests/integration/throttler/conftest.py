"""A fresh world a test: own topics, own database."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.throttler.world import World


@pytest.fixture
async def world(
    kafka: str, topic_prefix: str, database: Callable[[str], tuple[str, str]]
) -> AsyncIterator[World]:
    world = World(kafka, topic_prefix, database("throttler"))
    await world.start()
    yield world
    await world.bus.stop()
