"""How long it takes to try a draft plan on the past month of many tenants."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from bench.billing import plan_in_bulk, subscribe_in_bulk
from bench.contract import About, Measurement, Repetition
from bench.growth.fill import projection
from bench.metering import define_meters
from bench.site import Ground, Meter, Site

TENANTS: Mapping[str, int] = {"full": 10_000, "quick": 500, "tiny": 20}
EVERY_HOURS = 3
"""A tenant uses something in eight hours of each day."""
MOST_USED = 100
PATIENCE_SECONDS = 600.0
UNIT_AMOUNT, DRAFT_UNIT_AMOUNT, BASE = Decimal("0.01"), Decimal("0.03"), Decimal(49)
PLAN: dict[str, Any] = {
    "name": "Simulated",
    "currency": "EUR",
    "prices": [
        {"slug": "base", "model": "flat", "amount": str(BASE)},
        {
            "slug": "requests",
            "meter": "requests",
            "model": "unit",
            "unit_amount": str(UNIT_AMOUNT),
        },
    ],
}
DRAFT: dict[str, Any] = {
    "name": "Draft",
    "currency": "EUR",
    "prices": [
        {
            "slug": "requests",
            "meter": "requests",
            "model": "graduated",
            "tiers": [
                {"up_to": str(edge) if edge else None, "unit_amount": str(DRAFT_UNIT_AMOUNT)}
                for edge in (100, 1_000, 5_000, 10_000, None)
            ],
        }
    ],
}


class Simulation:
    """One request for all tenants; the time until its answer is the figure. The worker idles."""

    abouts = (
        About(
            name="rating.simulation",
            family="stages",
            unit="tenant",
            what="POST /v1/simulations of a draft with 5 tiers over a month of usage",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        end = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        start = (end - timedelta(days=1)).replace(day=1)
        used = {f"simulated-{n}": 1 + n % MOST_USED for n in range(TENANTS[site.scale.name])}
        async with site.ground("simulation", ["aggregator", "rating"]) as ground:
            await plan_in_bulk(ground, "simulated", PLAN)
            await subscribe_in_bulk(ground, list(used), start, plan="simulated", waiting=False)
            hours = (end - start) // timedelta(hours=1)
            await projection(await ground.pool("rating"), used, start, hours, EVERY_HOURS)
            await ground.start("aggregator", "rating")
            await define_meters(ground)
            requests = sum(used.values()) * hours // EVERY_HOURS

            async def measure(_: int) -> Mapping[str, Measurement]:
                return {
                    "rating.simulation": await _simulate(ground, start, end, len(used), requests)
                }

            yield measure


async def _simulate(
    ground: Ground, start: datetime, end: datetime, tenants: int, requests: int
) -> Measurement:
    body = {
        "replaces": "simulated",
        "plan": DRAFT,
        "from": start.isoformat(),
        "to": end.isoformat(),
    }
    async with httpx.AsyncClient(base_url=ground.url("rating"), timeout=PATIENCE_SECONDS) as http:
        meter = Meter(ground.site)
        began = time.perf_counter()
        answer = await http.post("/v1/simulations", json=body)
        taken = time.perf_counter() - began
    answer.raise_for_status()
    return Measurement(
        units=tenants,
        seconds=taken,
        cpu_seconds=meter.cpu_seconds(),
        latencies_ms={"simulation": [taken * 1000]},
        rss_bytes=meter.rss_bytes(),
        faults=_faults(answer.json(), tenants, requests),
    )


def _faults(found: dict[str, Any], tenants: int, requests: int) -> list[str]:
    """What differs from sums worked out here: no amount needs rounding."""
    [totals] = found["totals"]
    wanted = {
        "tenants": tenants,
        "now": tenants * BASE + requests * UNIT_AMOUNT,
        "then": requests * DRAFT_UNIT_AMOUNT,
    }
    return [
        f"{name} is {totals[name]}, not {value}"
        for name, value in wanted.items()
        if Decimal(totals[name]) != value
    ]
