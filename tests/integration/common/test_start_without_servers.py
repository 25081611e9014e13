"""A service that starts while its servers are away waits for them, and can be stopped meanwhile."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from chaos.link import Link
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess


def waiting_for(process: ServiceProcess, what: str) -> Callable[[], bool]:
    """Whether the process has said that it waits for `what`, and lives."""

    def waits() -> bool:
        assert process.is_running, process.output()
        return f"waiting for {what}" in process.output()

    return waits


@pytest.mark.servers
async def test_a_service_waits_for_database_and_broker_and_then_serves(
    kafka: str,
    topics: str,
    database: Callable[..., Database],
    service_process: Callable[..., ServiceProcess],
) -> None:
    dsn = database("rating").service_url
    to_database = Link("database", [urlsplit(dsn).port or 5432])
    to_broker = Link("broker", [int(kafka.rpartition(":")[2])])
    for link in (to_database, to_broker):
        await link.open()
        link.set("cut")
    rating = service_process(
        "tollgate-rating",
        "all",
        environment={
            "TOLLGATE_DATABASE_URL": dsn.replace(
                f":{urlsplit(dsn).port}/", f":{to_database.port}/"
            ),
            "TOLLGATE_KAFKA": to_broker.address,
            "TOLLGATE_TOPIC_PREFIX": topics,
        },
    )
    await rating.start(ready=False)
    born = rating.pid
    await eventually(waiting_for(rating, "PostgreSQL"), timeout=30)
    to_database.set("open")
    await eventually(waiting_for(rating, "Kafka"), timeout=30)
    to_broker.set("open")
    await rating.wait_ready()
    assert rating.pid == born
    await rating.stop()
    for link in (to_database, to_broker):
        await link.close()


async def test_a_service_that_waits_for_its_servers_can_be_stopped(
    service_process: Callable[..., ServiceProcess],
) -> None:
    rating = service_process(
        "tollgate-rating",
        "all",
        environment={"TOLLGATE_DATABASE_URL": "postgresql://rating@127.0.0.1:1/none"},
    )
    await rating.start(ready=False)
    await eventually(waiting_for(rating, "PostgreSQL"), timeout=30)
    async with asyncio.timeout(60):
        assert await rating.stop(timeout=40) != -9
