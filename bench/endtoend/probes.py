"""Single events that are followed to what they cause, while a load runs beside them."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from bench.load.events import EVENT_TYPE
from bench.metering import PATIENCE_SECONDS
from bench.site import Ground

POLL_SECONDS = 0.02
PLAN = "probe"
LIMIT = 3
"""Events after which the probes' rule denies."""


class Probes:
    """One HTTP client for all. `sent` counts the events, for the accounting."""

    def __init__(self, ground: Ground, http: httpx.AsyncClient) -> None:
        self._ground, self._http = ground, http
        self.sent = 0
        self._usage: dict[str, int] = {}

    async def define_rule(self) -> None:
        """Denies a tenant on the probes' plan from its third event of the day on."""
        rule = {
            "meter": "requests",
            "applies_to": {"plan": PLAN},
            "window": "day",
            "limit": str(LIMIT),
            "action": {"kind": "deny"},
            "mode": "enforce",
            "on_failure": "fail_open",
        }
        url = f"{self._ground.url('throttler')}/v1/rules/probe"

        async def is_put() -> bool:
            return (await self._http.put(url, json=rule)).is_success

        await until(is_put, "the probes' rule")

    async def visible(self, tenant: str) -> float:
        """Milliseconds from the POST of an event until `GET /v1/usage` shows it."""
        now = datetime.now(UTC)
        query = {
            "meter": "requests",
            "tenant": tenant,
            "window": "none",
            "from": (now - timedelta(days=2)).isoformat(),
            "to": (now + timedelta(days=1)).isoformat(),
        }

        async def is_visible() -> bool:
            url = f"{self._ground.url('aggregator')}/v1/usage"
            items = (await self._get(url, query))["items"]
            return bool(items) and int(items[0]["value"]) >= self._usage[tenant]

        return await self._timed(tenant, 1, is_visible, "usage")

    async def charged(self, tenant: str) -> float:
        """Milliseconds from the POST of an event until `GET /v1/charges` has it."""

        async def is_charged() -> bool:
            items = (
                await self._get(f"{self._ground.url('rating')}/v1/charges", {"tenant": tenant})
            )["items"]
            found = [int(item["quantity"]) for item in items if item["price"] == "requests"]
            return sum(found) >= self._usage[tenant]

        return await self._timed(tenant, 1, is_charged, "charge")

    async def denied(self, tenant: str) -> float:
        """Milliseconds from the POST of the event that reaches the limit until the collector
        refuses the tenant."""

        async def is_denied() -> bool:
            url = f"{self._ground.url('collector')}/v1/check"
            answer = await self._http.post(url, json={"tenant": tenant})
            return not answer.raise_for_status().json()["allow"]

        return await self._timed(tenant, LIMIT, is_denied, "decision")

    async def post(self, tenant: str, events: int, at: datetime | None = None) -> None:
        """Sends so many events of a tenant in one request."""
        moment = (at or datetime.now(UTC)).isoformat()
        body = [
            {
                "specversion": "1.0",
                "id": str(uuid.uuid4()),
                "source": "bench/probe",
                "type": EVENT_TYPE,
                "subject": tenant,
                "time": moment,
                "data": {"bytes": 1, "region": "region-0"},
            }
            for _ in range(events)
        ]
        url = f"{self._ground.url('ingest-api')}/v1/events"
        (await self._http.post(url, json=body)).raise_for_status()
        self.sent += events
        self._usage[tenant] = self._usage.get(tenant, 0) + events

    async def _timed(
        self, tenant: str, events: int, condition: Callable[[], Awaitable[bool]], what: str
    ) -> float:
        began = time.perf_counter()
        await self.post(tenant, events)
        await until(condition, f"{what} of {tenant}")
        return (time.perf_counter() - began) * 1000

    async def _get(self, url: str, query: dict[str, Any]) -> Any:
        return (await self._http.get(url, params=query)).raise_for_status().json()


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Asks until it is so; TimeoutError with what was awaited."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
