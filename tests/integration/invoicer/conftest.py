"""A database of the invoicer with charges in it, and runs that can be driven by hand."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from common.bus.admin import apply_topics, touch_topics
from common.bus.kafka import KafkaBus
from common.bus.types import BusError
from common.contracts.charges import Charge
from common.contracts.tenants import Tenant
from common.contracts.topics import CHARGES, INVOICES, TENANTS
from common.db import create_pool
from common.ids import uuid7
from invoicer.completeness import Node, NodesUnknown
from invoicer.main import build
from invoicer.runner import Runner
from invoicer.settings import Settings
from invoicer.store import charges, runs
from invoicer.store.runs import Run
from tests.integration.invoicer.centre import Centre
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.servers import SessionServers
from tests.support.serving import serving
from tests.unit.invoicer.charging import ACME, DECEMBER


@pytest.fixture
def invoicer_database(database: Callable[..., Database]) -> Database:
    """A fresh database, migrated."""
    return database("invoicer")


@pytest.fixture
async def pool(invoicer_database: Database) -> AsyncIterator[asyncpg.Pool]:
    """Connections as the service's own role."""
    made = await create_pool(invoicer_database.service_url)
    yield made
    await made.close()


@pytest.fixture
async def own_topics(servers: SessionServers, kafka: str, topic_prefix: str) -> str:
    """A topic prefix under which the invoicer's topics exist, with two partitions each: making
    topics is most of what a test here costs."""
    topics = (CHARGES, TENANTS, INVOICES)
    if servers.kafka_is_real:
        await apply_topics(kafka, prefix=topic_prefix, partitions=2, topics=topics)
    else:
        await touch_topics(kafka, prefix=topic_prefix, topics=topics)
    bus = KafkaBus(kafka, prefix=topic_prefix)

    async def all_exist() -> bool:
        try:
            return all([await bus.partitions(topic.name) for topic in topics])
        except BusError:
            return False

    # A busy controller announces new topics a while after it made them.
    await eventually(all_exist, timeout=30)
    await bus.stop()
    return topic_prefix


class Books:
    """The invoicer's database, and runs over it with a clock and peers that the test sets."""

    def __init__(self, pool: asyncpg.Pool, url: str) -> None:
        self.pool, self.url = pool, url
        self.now = DECEMBER + timedelta(hours=1)
        self.watermark: datetime | None = datetime(2030, 1, 1, tzinfo=UTC)
        self.nodes: list[Node] | NodesUnknown = []
        self.tenants: dict[str, Tenant] = {"acme": ACME}
        self.is_catalog_read = True
        self.settings = Settings(
            seller_name="Tollgate Ltd", patience_seconds=3600, grace_seconds=0, run_seconds=0.02
        )

    async def put(self, *given: Charge, traceparent: str | None = None) -> None:
        """Charges arrive."""
        async with self.pool.acquire() as connection:
            await charges.upsert(connection, [(one, traceparent) for one in given])

    async def start(self, through: datetime = DECEMBER) -> Run:
        """A new run, or the one that is there."""
        async with self.pool.acquire() as connection:
            run, _ = await runs.create(
                connection,
                id=uuid7(),
                through=through,
                now=self.now,
                patience_end=self.now + timedelta(seconds=self.settings.patience_seconds),
                traceparent=None,
            )
        return run

    def runner(self, worker: str = "w1") -> Runner:
        """A runner on this database, with the test's clock and peers."""

        async def ask_nodes() -> list[Node] | NodesUnknown:
            return self.nodes

        async def ask_watermark() -> datetime | None:
            return self.watermark

        return Runner(
            pool=self.pool,
            settings=self.settings.model_copy(update={"worker_id": worker}),
            tenants=self.tenants,
            ask_nodes=ask_nodes,
            ask_watermark=ask_watermark,
            is_catalog_read=lambda: self.is_catalog_read,
            clock=lambda: self.now,
        )

    async def bill(self, through: datetime = DECEMBER) -> Run:
        """Start a run and drive it once; returns it as it then stands."""
        run = await self.start(through)
        await self.runner().tick()
        return await self.run(run)

    async def run(self, run: Run) -> Run:
        """The run as it stands now."""
        found = await runs.find(self.pool, run.id)
        assert found is not None
        return found

    async def numbers(self) -> list[str]:
        """The numbers of all invoices, in order."""
        rows = await self.pool.fetch("SELECT number FROM invoicer.invoices ORDER BY number_value")
        return [row["number"] for row in rows]

    async def lines(self) -> list[Any]:
        """(number, kind, charge, amount) of all lines."""
        rows = await self.pool.fetch(
            """
            SELECT number, kind, charge, amount
            FROM invoicer.invoice_lines
            JOIN invoicer.invoices ON invoices.id = invoice_lines.invoice
            ORDER BY number_value, position
            """
        )
        return [tuple(row) for row in rows]


@pytest.fixture
def books(pool: asyncpg.Pool, invoicer_database: Database) -> Books:
    """The invoicer's books, empty."""
    return Books(pool, invoicer_database.service_url)


@pytest.fixture
async def centre(invoicer_database: Database, kafka: str, own_topics: str) -> AsyncIterator[Centre]:
    nodes: list[Any] = []
    ingest = FastAPI()

    @ingest.get("/v1/nodes")
    async def list_nodes() -> dict[str, Any]:
        return {"items": nodes, "next": None}

    async with serving(ingest) as ingest_url:
        settings = Settings(
            database_url=invoicer_database.service_url,
            kafka=kafka,
            topic_prefix=own_topics,
            ingest_url=ingest_url,
            seller_name="Tollgate Ltd",
            grace_seconds=0,
            run_seconds=0.05,
            lease_seconds=3,
        )
        bus = KafkaBus(kafka, prefix=own_topics)
        await bus.start()
        async with (
            serving(build(settings, api=True, worker=True)) as url,
            httpx.AsyncClient(base_url=url, timeout=20) as client,
        ):
            made = Centre(bus, client, nodes)
            await made.define(ACME)

            async def known() -> bool:
                answer = await client.get("/v1/invoices/interim?tenant=acme")
                return answer.status_code == 200

            await eventually(known, timeout=20)
            yield made
        await bus.stop()
