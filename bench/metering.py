"""The two meters that all traffic is measured with, and how a run is known to be exact."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bench.load.events import EVENT_TYPE, Traffic, Truth, tenant_key
from bench.site import Ground
from common.contracts.topics import EVENTS

METERS: dict[str, dict[str, Any]] = {
    "requests": {"aggregation": "count", "unit": "request", "group_by": {"region": "region"}},
    "bytes": {
        "aggregation": "sum",
        "value": "bytes",
        "unit": "byte",
        "group_by": {"region": "region"},
    },
}
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
HTTP_SECONDS = 60.0


async def define_meters(ground: Ground) -> None:
    """Puts both meters; the aggregator's API must run."""
    async with httpx.AsyncClient(timeout=HTTP_SECONDS) as http:
        for slug, body in METERS.items():
            url = f"{ground.url('aggregator')}/v1/meters/{slug}"
            (await http.put(url, json={"event_type": EVENT_TYPE, **body})).raise_for_status()


async def received(ground: Ground) -> int:
    """Elements that the deduper has decided on."""
    pool = await ground.pool("ingest")
    return int(await pool.fetchval("SELECT coalesce(sum(received), 0) FROM ingest.accounting"))


async def counted(ground: Ground) -> int:
    """Elements that were found fresh."""
    pool = await ground.pool("ingest")
    return int(await pool.fetchval("SELECT coalesce(sum(counted), 0) FROM ingest.accounting"))


async def positions(ground: Ground, service: str, topic: str) -> dict[int, int]:
    """How far a stage has got, by partition."""
    pool = await ground.pool(service)
    rows = await pool.fetch(
        f"SELECT partition, next_offset FROM {service}.partition_progress WHERE topic = $1", topic
    )
    return {row["partition"]: row["next_offset"] for row in rows}


async def ends(ground: Ground, topic: str) -> dict[int, int]:
    """The end of each partition of a topic."""
    count = await ground.bus.partitions(topic)
    return {number: await ground.bus.end_offset(topic, number) for number in range(count)}


async def until_received(ground: Ground, wanted: int) -> None:
    """Returns when the deduper has decided on `wanted` elements; TimeoutError when it stands
    still."""
    at, moved = -1, time.monotonic()
    while (now := await received(ground)) < wanted:
        if now != at:
            at, moved = now, time.monotonic()
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"the deduper stands at {now} of {wanted} elements")
        await asyncio.sleep(POLL_SECONDS)


async def until_passed(ground: Ground, service: str, topic: str) -> None:
    """Returns when a stage has read what the topic holds now."""
    wanted = await ends(ground, topic)
    at: dict[int, int] = {}
    moved = time.monotonic()
    while any(at.get(number, 0) < end for number, end in wanted.items()):
        now = await positions(ground, service, topic)
        if now != at:
            at, moved = now, time.monotonic()
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"{service} stands at {at} of {wanted} in {topic}")
        await asyncio.sleep(POLL_SECONDS)


async def until_counted(ground: Ground, sent: int) -> None:
    """Returns when `sent` elements, all that ever were, are decided on and folded."""
    await until_received(ground, sent)
    before = -1
    while before != (before := sum((await ends(ground, EVENTS.name)).values())):
        await until_passed(ground, "aggregator", EVENTS.name)


async def usage(ground: Ground, meter: str, traffic: Traffic) -> dict[str, int]:
    """What `GET /v1/usage` tells, by tenant, over the days around the traffic."""
    at = datetime.fromtimestamp(traffic.begin_ms / 1000, UTC)
    query = {
        "meter": meter,
        "window": "none",
        "from": (at - timedelta(days=1)).isoformat(),
        "to": (at + timedelta(days=1)).isoformat(),
    }
    found: dict[str, int] = {}
    async with httpx.AsyncClient(timeout=HTTP_SECONDS) as http:
        while True:
            answer = await http.get(f"{ground.url('aggregator')}/v1/usage", params=query)
            answer.raise_for_status()
            page = answer.json()
            for item in page["items"]:
                found[item["tenant"]] = int(item["value"])
            if not page.get("next"):
                return found
            query["cursor"] = page["next"]


async def faults_of_usage(ground: Ground, truth: Truth, traffic: Traffic) -> list[str]:
    """What differs between the usage and the truth, tenant by tenant, in both meters."""
    faults = []
    for meter, wanted in (("requests", truth.counts), ("bytes", truth.sums)):
        found = await usage(ground, meter, traffic)
        wrong = {
            tenant: (found.get(tenant, 0), value)
            for tenant, value in ((tenant_key(n), value) for n, value in enumerate(wanted))
            if found.get(tenant, 0) != value
        }
        if wrong:
            tenant, (was, should) = next(iter(wrong.items()))
            faults.append(f"{meter} of {len(wrong)} tenants differ: {tenant} {was}, not {should}")
    return faults


async def faults_of_books(ground: Ground, sent: int, distinct: int) -> list[str]:
    """What differs from `GET /v1/accounting`: received = counted + duplicates, nothing else."""
    async with httpx.AsyncClient(timeout=HTTP_SECONDS) as http:
        answer = await http.get(f"{ground.url('ingest-api')}/v1/accounting")
        answer.raise_for_status()
        books = answer.json()
    wanted = {
        "received": sent,
        "counted": distinct,
        "duplicates": sent - distinct,
        "parked": 0,
        "pending": 0,
    }
    return [
        f"{name} is {books[name]}, not {value}"
        for name, value in wanted.items()
        if int(books[name]) != value
    ]
