"""One event is followed from the collector to its invoice line: by spans, and by stored facts."""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stack.environment import SERVICES
from tests.support.eventually import eventually
from tests.support.product import Product, product
from tests.support.serving import serving


class TraceReceiver:
    """An OTLP/HTTP receiver that remembers, for each span, its name and where it came from."""

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self._before: dict[bytes, set[bytes]] = defaultdict(set)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self._take(ExportTraceServiceRequest.FromString(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.names[span.span_id] = span.name
                    self._before[span.span_id] |= {link.span_id for link in span.links}
                    if span.parent_span_id:
                        self._before[span.span_id].add(span.parent_span_id)

    def behind(self, name: str) -> set[str]:
        """Names of all spans from which, by parents and links, a span called `name` came."""
        waiting = [span for span, own in self.names.items() if own == name]
        seen: set[bytes] = set()
        while waiting:
            span = waiting.pop()
            if span not in seen:
                seen.add(span)
                waiting += self._before[span]
        return {self.names[span] for span in seen if span in self.names} - {name}


async def post(client: httpx.AsyncClient, url: str, body: Any) -> Any:
    answer = await client.post(url, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def put(client: httpx.AsyncClient, url: str, body: Any) -> None:
    answer = await client.put(url, json=body)
    assert answer.is_success, answer.text


async def bill_one_event(client: httpx.AsyncClient, tollgate: Product) -> None:
    """Meter, tenant, plan, one event at the collector, then an invoice for it."""
    rating, now = tollgate.url("rating"), datetime.now(UTC)
    await put(
        client,
        f"{tollgate.url('aggregator')}/v1/meters/calls",
        {"event_type": "call", "aggregation": "count", "unit": "call"},
    )
    tenant = {"name": "Acme", "currency": "USD", "timezone": "UTC", "billing_day": now.day}
    await put(client, f"{rating}/v1/tenants/acme", tenant)
    price = {"slug": "calls", "meter": "calls", "model": "unit", "unit_amount": "1.50"}
    plan = {"name": "Pay", "currency": "USD", "interval": "month", "prices": [price]}
    await put(client, f"{rating}/v1/plans/pay", plan)
    start = (now - timedelta(minutes=5)).isoformat()
    subscription = await post(
        client, f"{rating}/v1/subscriptions", {"tenant": "acme", "plan": "pay", "start": start}
    )
    event = {
        "specversion": "1.0",
        "id": "call-1",
        "source": "phone",
        "type": "call",
        "subject": "acme",
        "time": now.isoformat(),
        "data": {},
    }
    await post(client, f"{tollgate.url('collector')}/v1/events", event)
    cut = await post(
        client,
        f"{rating}/v1/subscriptions/{subscription['id']}/bill-now",
        {"at": datetime.now(UTC).isoformat()},
    )
    run = await post(client, f"{tollgate.url('invoicer')}/v1/runs", {"through": cut["at"]})

    async def finished() -> bool:
        answer = await client.get(f"{tollgate.url('invoicer')}/v1/runs/{run['id']}")
        return bool(answer.json()["state"] == "done")

    await eventually(finished, timeout=60)


async def command(tollgate: Product, *arguments: str) -> Any:
    """What a `tollgate … --json` command prints."""
    processes = ("collector", "ingest-api", "aggregator", "rating", "invoicer", "throttler")
    addresses = {
        f"TOLLGATE_{service.upper()}_URL": tollgate.url(process)
        for service, process in zip(SERVICES, processes, strict=True)
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "tollgate"),
        *arguments,
        env=os.environ | addresses,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@pytest.mark.servers
@pytest.mark.timeout(200)
async def test_an_event_is_followed_to_its_invoice_line(
    kafka: str, postgres: str, topics: str, tmp_path: Path
) -> None:
    receiver = TraceReceiver()
    async with (
        serving(receiver) as endpoint,
        product(
            kafka=kafka,
            postgres=postgres,
            topic_prefix=topics,
            folder=tmp_path / "product",
            environment={
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "200",
            },
        ) as tollgate,
        httpx.AsyncClient(timeout=30) as client,
    ):
        await bill_one_event(client, tollgate)

        def followed() -> bool:
            behind = receiver.behind("invoice.finalise")
            assert {"collector.ship", "ingest.receive", "rate"} <= behind, behind
            return True

        await eventually(followed, timeout=20)

        way = await command(tollgate, "trace", "phone", "call-1", "--json")
        text = json.dumps(way)
        assert '"counted"' in text
        invoices = await command(tollgate, "invoices", "list", "--json")
        assert invoices["items"][0]["number"] in text
