"""The invoicer as processes that are killed: numbers stay gapless, nobody is invoiced twice."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from signal import SIGTERM

import asyncpg
import httpx
import msgspec
import pytest

from common.bus.kafka import KafkaBus
from tests.integration.invoicer.publishing import THROUGH, Rating, ended
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess
from tests.unit.invoicer.charging import ACME

TENANTS_COUNT = 300
KILLS = 3


@pytest.fixture
async def rating(kafka: str, own_topics: str) -> AsyncIterator[Rating]:
    bus = KafkaBus(kafka, prefix=own_topics)
    await bus.start()
    yield Rating(bus)
    await bus.stop()


@pytest.fixture
def environment(invoicer_database: Database, kafka: str, own_topics: str) -> dict[str, str]:
    return {
        "TOLLGATE_DATABASE_URL": invoicer_database.service_url,
        "TOLLGATE_KAFKA": kafka,
        "TOLLGATE_TOPIC_PREFIX": own_topics,
        # Nobody listens there: the seals cannot be checked, and the invoices say so.
        "TOLLGATE_INGEST_URL": "http://127.0.0.1:9",
        "TOLLGATE_PATIENCE_SECONDS": "0",
        "TOLLGATE_GRACE_SECONDS": "0",
        "TOLLGATE_RUN_SECONDS": "0.05",
    }


async def test_a_run_survives_kills_of_the_worker(
    service_process: Callable[..., ServiceProcess],
    environment: dict[str, str],
    rating: Rating,
    pool: asyncpg.Pool,
) -> None:
    keys = [f"tenant-{i:03}" for i in range(TENANTS_COUNT)]
    await rating.define(*(msgspec.structs.replace(ACME, key=key) for key in keys))
    await rating.publish(
        *(ended(f"{key}-{i}", "1.005", tenant=key) for key in keys for i in (1, 2))
    )
    api = await service_process("tollgate-invoicer", "api", environment=environment).start()
    worker = service_process("tollgate-invoicer", "worker", environment=environment)
    await worker.start()

    async def invoices() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM invoicer.invoices"))

    async def charged() -> bool:
        count = await pool.fetchval("SELECT count(*) FROM invoicer.charges")
        return bool(count == 2 * TENANTS_COUNT)

    await eventually(charged, timeout=30)
    await rating.tell_watermark()
    async with httpx.AsyncClient(base_url=api.url, timeout=20) as client:
        run = (await client.post("/v1/runs", json={"through": THROUGH})).json()
        for kill in range(KILLS):
            before = await invoices()

            async def went_on(before: int = before) -> bool:
                return await invoices() > before

            await eventually(went_on, timeout=30, every=0.001)
            await worker.kill()
            assert await invoices() < TENANTS_COUNT, f"done before kill {kill}: nothing was shown"
            await worker.start(ready=False)

        async def done() -> bool:
            return bool((await client.get(f"/v1/runs/{run['id']}")).json()["state"] == "done")

        await eventually(done, timeout=60)
        run = (await client.get(f"/v1/runs/{run['id']}")).json()
    assert (run["invoice_count"], run["left_out"]) == (TENANTS_COUNT, [])
    assert [missing["kind"] for missing in run["missing"]] == ["ingest"]
    values = await pool.fetch("SELECT number_value FROM invoicer.invoices ORDER BY 1")
    assert [row["number_value"] for row in values] == list(range(1, TENANTS_COUNT + 1))
    assert await pool.fetchval("SELECT count(DISTINCT tenant) FROM invoicer.invoices") == len(keys)
    total = await pool.fetchval("SELECT sum(amount) FROM invoicer.invoice_lines")
    assert total == Decimal("1.01") * 2 * TENANTS_COUNT

    async def published() -> bool:
        revisions = {change.revision for change in await rating.changes()}
        return revisions == set(range(1, TENANTS_COUNT + 1))

    await eventually(published, timeout=30, every=0.5)
    assert await worker.stop() in (0, -SIGTERM)
    log = worker.output()
    assert "Application shutdown complete" in log
    assert "released at" in log
