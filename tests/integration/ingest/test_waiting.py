"""What is known of events that are not processed yet, and what is forgotten of old ones."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from common.bus.kafka import KafkaBus
from common.bus.types import Record
from common.contracts.topics import RECEIVED, partition_for
from common.db import create_pool
from common.stream.watermark import stage_watermark
from ingest.main import build
from ingest.packed.ledger import PackedLedger
from ingest.retention import forget_once
from ingest.settings import IngestSettings
from tests.integration.ingest.conftest import Downstream, Ingest, event
from tests.support.eventually import eventually
from tests.support.serving import serving


@pytest.fixture
async def alone(settings: IngestSettings, bus: KafkaBus) -> AsyncIterator[Ingest]:
    """The API without a deduper."""
    pool = await create_pool(settings.database_url, max_size=2)
    async with (
        serving(build(settings, api=True, worker=False)) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Ingest(http, pool, Downstream(bus))
    await pool.close()


async def test_what_waits_is_pending(alone: Ingest, settings: IngestSettings) -> None:
    await alone.send(event("1"), event("2", source="other"), {"id": "3", "source": "app"})
    await alone.batch(1, [event("e-1", source="edge")], node="edge", epoch="e")
    account = await alone.accounting()
    assert account["received"] == account["pending"] == 4
    for source, event_id in (("app", "1"), ("other", "2"), ("edge", "e-1"), ("app", "3")):
        status = await alone.get("/v1/events", source=source, id=event_id)
        assert status["state"] == "pending"
        assert status["received_at"]
    assert (await alone.get("/v1/events", source="app", id="9"))["state"] == "unknown"
    async with serving(build(settings, api=False, worker=True)) as url:
        await alone.settled(received=4, counted=3, parked=1)
        async with httpx.AsyncClient(base_url=url) as deduper:
            assert (await deduper.get("/readyz")).status_code == 200
            assert (await deduper.post("/v1/events", json=[])).status_code == 404

            async def shown() -> bool:
                page = (await deduper.get("/metrics")).text
                return 'tollgate_ingest_accounting{state="counted"} 3.0' in page

            await eventually(shown)


async def test_a_watermark_moves_without_traffic(ingest: Ingest) -> None:
    async def watermarks() -> list[Any]:
        rows = await ingest.pool.fetch("SELECT watermark_ms FROM ingest.partition_progress")
        found = [row["watermark_ms"] for row in rows]
        assert len(found) == 4
        assert None not in found
        return found

    before = await eventually(watermarks, timeout=15)

    async def all_moved() -> bool:
        now = datetime.now(UTC).timestamp() * 1000
        return all(
            later > earlier and later > now - 12_000
            for earlier, later in zip(before, await watermarks(), strict=True)
        )

    await eventually(all_moved, timeout=15)


async def test_what_is_too_old_to_come_again_is_forgotten(ingest: Ingest) -> None:
    await ingest.send(event("1"))
    await ingest.batch(1, [event("e-1", source="edge")], node="edge", epoch="e")
    await ingest.settled(counted=2)

    async def remembered() -> tuple[int, int]:
        return (
            await ingest.pool.fetchval("SELECT sum(ids) FROM ingest.ledger_blocks") or 0,
            await ingest.pool.fetchval("SELECT count(*) FROM ingest.node_batches"),
        )

    async def watermark() -> Any:
        return await stage_watermark(ingest.pool, "ingest", RECEIVED, 4)

    await eventually(watermark)
    ledger = PackedLedger()
    await forget_once(ingest.pool, ledger, inputs=4, keep_days=36)
    assert await remembered() == (1, 1)
    await ingest.pool.execute("UPDATE ingest.ledger_blocks SET day = day - 40")
    await ingest.pool.execute("UPDATE ingest.node_batches SET received_day = received_day - 40")
    assert await forget_once(ingest.pool, ledger, inputs=4, keep_days=36) == 2
    assert await remembered() == (0, 0)
    # The sequence is still taken: the batch cannot come again.
    await ingest.batch(1, [event("e-1", source="edge")], node="edge", epoch="e")
    await ingest.settled(received=3, counted=2, duplicates=1)


async def test_a_record_that_is_no_envelope_is_parked(ingest: Ingest, bus: KafkaBus) -> None:
    broken = Record(b"app", b"\xff" * 40, (("count", b"2"),))
    await bus.append(RECEIVED.name, {partition_for("app", 4): [broken]})
    await ingest.settled(received=2, parked=2)
    (first, _) = (await ingest.get("/v1/dead-events"))["items"]
    assert first["code"] == "unreadable_envelope"
    assert first["truncated"]
