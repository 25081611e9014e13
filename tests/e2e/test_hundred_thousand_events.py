"""A hundred thousand events through the six processes, which are killed meanwhile.

One in ten is sent twice, one in a hundred is bad, answers get lost with the process that would
have given them. At the end every sum equals a dict, and every bad event is listed.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.truth import TENANTS, Truth
from tests.support.eventually import eventually
from tests.support.product import Product, product

EVENTS = 100_000
KILLS = (
    "ingest-deduper",
    "aggregator",
    "ingest-api",
    "collector",
    "rating",
    "ingest-deduper",
    "aggregator",
)
METERS = {
    "requests": {"aggregation": "count", "unit": "request", "group_by": {"region": "region"}},
    "bytes": {"aggregation": "sum", "value": "bytes", "unit": "byte"},
    "seconds": {"aggregation": "sum", "value": "seconds", "unit": "second"},
}


async def put(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
    answer = await client.put(url, json=body)
    assert answer.is_success, answer.text


async def define_catalog(client: httpx.AsyncClient, tollgate: Product, start: datetime) -> None:
    """Three meters; acme is billed for what it used since `start`."""
    for slug, body in METERS.items():
        url = f"{tollgate.url('aggregator')}/v1/meters/{slug}"
        await put(client, url, {"event_type": "http.request", **body})
    rating = tollgate.url("rating")
    tenant = {"name": "Acme", "currency": "USD", "timezone": "UTC", "billing_day": start.day}
    await put(client, f"{rating}/v1/tenants/acme", tenant)
    prices = [
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.01"},
        {"slug": "traffic", "meter": "bytes", "model": "unit", "unit_amount": "0.000001"},
    ]
    plan = {"name": "Pay", "currency": "USD", "interval": "month", "prices": prices}
    await put(client, f"{rating}/v1/plans/pay", plan)
    subscription = {"tenant": "acme", "plan": "pay", "start": start.isoformat()}
    answer = await client.post(f"{rating}/v1/subscriptions", json=subscription)
    assert answer.is_success, answer.text


async def send(client: httpx.AsyncClient, url: str, events: list[dict[str, Any]]) -> None:
    """Send a request until it is answered: the answer to an earlier try may have been lost."""
    body = json.dumps(events)
    while True:
        try:
            answer = await client.post(
                url, content=body, headers={"content-type": "application/json"}
            )
        except httpx.TransportError:
            continue
        if answer.status_code == 503:
            continue
        assert answer.status_code == 200, answer.text
        return


async def load_and_kill(
    client: httpx.AsyncClient, tollgate: Product, requests: list[list[dict[str, Any]]]
) -> None:
    """Three of four requests go to ingest, the fourth to the collector; four at a time. At each
    eighth of them the next process is killed; returns when all were answered and all are back."""
    targets = [tollgate.url("ingest-api")] * 3 + [tollgate.url("collector")]
    kill_at = {len(requests) * (n + 1) // 8: name for n, name in enumerate(KILLS)}
    waiting = list(enumerate(requests))
    async with asyncio.TaskGroup() as kills:

        async def sender() -> None:
            while waiting:
                index, events = waiting.pop()
                if index in kill_at:
                    kills.create_task(tollgate.kill(kill_at[index]))
                await send(client, targets[index % 4] + "/v1/events", events)

        async with asyncio.TaskGroup() as senders:
            for _ in range(4):
                senders.create_task(sender())


async def usage(client: httpx.AsyncClient, tollgate: Product, **query: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{tollgate.url('aggregator')}/v1/usage", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    assert not page.get("next")
    return list(page["items"])


async def hourly(
    client: httpx.AsyncClient, tollgate: Product, meter: str, begin: datetime, end: datetime
) -> dict[tuple[str, datetime], Decimal]:
    items = await usage(
        client,
        tollgate,
        meter=meter,
        window="hour",
        limit="1000",
        **{"from": begin.isoformat(), "to": end.isoformat()},
    )
    return {
        (item["tenant"], datetime.fromisoformat(item["from"])): Decimal(item["value"])
        for item in items
        if item["value"] not in (None, "0")
    }


@pytest.mark.servers
@pytest.mark.timeout(400)
async def test_every_event_counts_once_while_processes_are_killed(
    kafka: str, postgres: str, topics: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    truth = Truth(seed=7, now=now)
    requests = truth.requests(EVENTS, size=500)
    end = (now + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    async with (
        product(
            kafka=kafka, postgres=postgres, topic_prefix=topics, folder=tmp_path / "product"
        ) as tollgate,
        httpx.AsyncClient(timeout=30) as client,
    ):
        await define_catalog(client, tollgate, truth.begin)
        await load_and_kill(client, tollgate, requests)

        async def all_counted() -> bool:
            found = await hourly(client, tollgate, "requests", truth.begin, end)
            return sum(found.values()) >= truth.good

        await eventually(all_counted, timeout=90)

        assert await hourly(client, tollgate, "requests", truth.begin, end) == truth.counts
        assert await hourly(client, tollgate, "bytes", truth.begin, end) == truth.bytes
        assert await hourly(client, tollgate, "seconds", truth.begin, end) == truth.seconds
        grouped = await usage(
            client,
            tollgate,
            meter="requests",
            window="none",
            group_by="region",
            **{"from": truth.begin.isoformat(), "to": end.isoformat()},
        )
        assert {
            (item["tenant"], item["group"]["region"]): Decimal(item["value"]) for item in grouped
        } == truth.regions

        async def settled() -> dict[str, int] | None:
            answer = await client.get(f"{tollgate.url('ingest-api')}/v1/accounting")
            books: dict[str, int] = answer.json()
            parts = ("counted", "duplicates", "parked", "pending")
            assert books["received"] == sum(books[part] for part in parts)
            return books if books["pending"] == 0 else None

        books = await eventually(settled, timeout=30)
        assert books["counted"] == truth.good
        node = (await client.get(f"{tollgate.url('collector')}/v1/status")).json()
        # Each bad event is kept where it was refused, once more for each time it was sent again.
        assert books["parked"] + node["spool"]["parked"] >= truth.bad

        async def charged() -> bool:
            answer = await client.get(
                f"{tollgate.url('rating')}/v1/charges", params={"tenant": "acme"}
            )
            by_price = {c["price"]: Decimal(c["quantity"]) for c in answer.json()["items"]}
            requests_of = sum(n for (tenant, _), n in truth.counts.items() if tenant == "acme")
            bytes_of = sum(n for (tenant, _), n in truth.bytes.items() if tenant == "acme")
            assert by_price == {"requests": requests_of, "traffic": bytes_of}
            return True

        await eventually(charged, timeout=30)
        assert {tenant for tenant, _ in truth.counts} == set(TENANTS)
