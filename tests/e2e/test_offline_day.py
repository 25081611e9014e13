"""A node comes back after hours without the centre: all counted once in the right hours, and new
usage does not wait. `make offline-day` runs it at full size (HOURS, MB_PER_HOUR) and reports."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.offline_day import NODE, Pings, Usage, Watch, drained, make_backlog
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess

pytestmark = pytest.mark.servers

HOURS = float(os.environ.get("TOLLGATE_OFFLINE_HOURS", "3"))
MB_PER_HOUR = float(os.environ.get("TOLLGATE_OFFLINE_MB_PER_HOUR", "3"))
TIMEOUT = 60 + 2 * HOURS * MB_PER_HOUR


@dataclass
class Site:
    """The processes that a ping passes."""

    collector: ServiceProcess
    ingest: ServiceProcess
    edge: httpx.AsyncClient
    centre: httpx.AsyncClient
    usage: Usage


@pytest.fixture
async def site(
    service_process: Callable[..., ServiceProcess],
    database: Callable[..., Database],
    kafka: str,
    topics: str,
    tmp_path: Path,
) -> AsyncIterator[Site]:
    """The centre, where only the door for usage is still closed: ingest's API does not run."""

    def prepare(name: str, command: str, schema: str) -> ServiceProcess:
        environment = {
            "TOLLGATE_KAFKA": kafka,
            "TOLLGATE_TOPIC_PREFIX": topics,
            "TOLLGATE_DATABASE_URL": databases[schema],
        }
        return service_process(f"tollgate-{name}", command, environment=environment)

    databases = {name: database(name).service_url for name in ("ingest", "aggregator")}
    ingest = prepare("ingest", "api", "ingest")
    deduper = prepare("ingest", "deduper", "ingest")
    aggregator = prepare("aggregator", "all", "aggregator")
    await asyncio.gather(deduper.start(), aggregator.start())
    collector = service_process(
        "tollgate-collector",
        "run",
        environment={
            "TOLLGATE_NODE": NODE,
            "TOLLGATE_SPOOL_DIR": str(tmp_path),
            "TOLLGATE_SPOOL_MAX_BYTES": str(1 << 40),
            "TOLLGATE_INGEST_URL": ingest.url,
        },
    )
    async with AsyncExitStack() as stack:
        edge, centre, usage = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=process.url, timeout=60))
            for process in (collector, ingest, aggregator)
        ]
        yield Site(collector, ingest, edge, centre, Usage(usage))


@asynccontextmanager
async def running(*parts: object) -> AsyncIterator[None]:
    """Runs what never ends by itself; an error in it is one of the test."""
    tasks = [asyncio.ensure_future(part) for part in parts]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise AssertionError("what runs beside the test ended") from outcome


@pytest.mark.timeout(120 + 3 * TIMEOUT)
async def test_a_backlog_is_counted_once_while_new_usage_does_not_wait(
    site: Site, tmp_path: Path
) -> None:
    """In the small version the collector is also killed in the middle."""
    kills = HOURS * MB_PER_HOUR < 100
    truth, size = await asyncio.to_thread(
        make_backlog, tmp_path, hours=HOURS, mb_per_hour=MB_PER_HOUR
    )
    events = truth.total()
    await site.usage.define_meters()
    await site.collector.start()
    pings = Pings(site.edge)
    watch = Watch(site.usage, pings, HOURS)
    async with running(watch.run(lambda: site.collector.pid), pings.run()):
        await eventually(lambda: len(pings.acknowledged) >= 3, timeout=30)
        last_seq = (await spool(site))["next_seq"] - 1
        await site.ingest.start()
        began = time.monotonic()
        if kills:
            await seen_before_the_backlog(site, last_seq, events)
        report = await drained(
            site.edge,
            site.usage,
            watch,
            began=began,
            events=events,
            megabytes=size / 1e6,
            timeout=TIMEOUT,
        )
    print(report)

    async def all_counted() -> bool:
        account = (await site.centre.get("/v1/accounting")).json()
        assert (account["pending"], account["parked"]) == (0, 0), account
        assert account["counted"] >= events + len(pings.acknowledged), account
        return await site.usage.total("pings", HOURS) >= len(pings.acknowledged)

    await eventually(all_counted, timeout=30)
    assert await site.usage.by_hour("requests", HOURS) == truth
    node = (await site.centre.get("/v1/nodes")).json()["items"][0]
    assert node["gaps"] == []


async def seen_before_the_backlog(site: Site, ping_seq: int, events: int) -> None:
    """Kills the collector once the event `ping_seq` has overtaken the backlog; then pings are in
    the usage, and the backlog is not."""

    async def overtaken() -> bool:
        held = await spool(site)
        newest_taken = held["next_seq"] - 1 - (held["unsent"] - held["backlog"])
        return bool(held["backlog"] and newest_taken >= ping_seq)

    await eventually(overtaken, timeout=30, every=0.002)
    await site.collector.kill()
    await eventually(lambda: site.usage.total("pings", HOURS), timeout=30)
    assert await site.usage.total("requests", HOURS) < events
    await site.collector.start()


async def spool(site: Site) -> dict[str, Any]:
    """The collector's spool, as its status tells it."""
    status: dict[str, Any] = (await site.edge.get("/v1/status")).json()["spool"]
    return status
