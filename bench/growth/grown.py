"""The same load on an empty ground and on a full one, in turns, so that both see the same minutes
of the machine."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx

from bench.billing import subscribe, subscribe_in_bulk, until_rated
from bench.books import Books, traffic
from bench.contract import About, Measurement, Repetition
from bench.endtoend.throughput import KINDS, PER_REQUEST, push
from bench.growth import fill
from bench.metering import HTTP_SECONDS, define_meters
from bench.site import Ground, Site
from common.periods import slot_of

PROCESSES = ("ingest-api", "ingest-deduper", "aggregator", "rating", "throttler")
CATALOG_TENANT = "catalog-{:05d}"
QUERIES = 100
SIZES = ("small", "large")


class Growth:
    """Judged: what an event costs on the full ground, within 10 % of the empty one."""

    abouts = tuple(
        About(
            name=f"growth.{size}.{kind}",
            family="growth",
            unit="event",
            what=f"POST to GET /v1/usage, {kind}, {what}; billing and throttling at work",
        )
        for size, what in (
            ("small", "nothing there before"),
            ("large", "much there before, see below"),
        )
        for kind in KINDS
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with (
            site.ground("small") as small,
            site.ground("large") as large,
        ):
            books = {size: Books(site.scale.tenants) for size in SIZES}
            grounds = {"small": small, "large": large}
            await _prepare(site, small, full=False)
            await _prepare(site, large, full=True)

            async def measure(_: int) -> Mapping[str, Measurement]:
                found = {}
                for size in SIZES:
                    await grounds[size].start(*PROCESSES)
                    await until_rated(grounds[size])
                    await _push(site, grounds[size], books[size], "events", 10)
                    for kind in KINDS:
                        found[f"growth.{size}.{kind}"] = await _push(
                            site, grounds[size], books[size], kind
                        )
                    await grounds[size].stop()
                return found

            yield measure


async def _prepare(site: Site, ground: Ground, *, full: bool) -> None:
    """The catalog, and on the full ground what there is already. All processes are stopped."""
    scale = site.scale
    await ground.start("aggregator", "rating")
    await define_meters(ground)
    begin = slot_of(datetime.now(UTC)) - timedelta(days=1)
    await subscribe(ground, site.tenants(), begin)
    if full:
        tenants = [CATALOG_TENANT.format(number) for number in range(scale.catalog_tenants)]
        await fill.meters(ground, scale.meters)
        await ground.stop()
        await subscribe_in_bulk(ground, tenants, begin, plan="bench")
        await fill.usage_hours(ground, tenants, scale.rows)
        await fill.ledger(ground, scale.ids, site.next_seed())
        found = await fill.counts(ground)
        site.say(f"  there before: {found}, {len(tenants)} tenants more")
    await ground.stop()


async def _push(site: Site, ground: Ground, books: Books, kind: str, share: int = 1) -> Measurement:
    (known,) = (one for one in KINDS if one == kind)
    load = traffic(site, site.scale.events // share, per_request=PER_REQUEST[known], kind=known)
    found = await push(site, ground, books, load, charging=True)
    return replace(
        found, latencies_ms={**found.latencies_ms, "usage query": await _queries(site, ground)}
    )


async def _queries(site: Site, ground: Ground) -> list[float]:
    """Milliseconds of `GET /v1/usage` for one tenant's day, by hour and region."""
    now = datetime.now(UTC)
    found = []
    async with httpx.AsyncClient(base_url=ground.url("aggregator"), timeout=HTTP_SECONDS) as http:
        for tenant in site.tenants()[:QUERIES]:
            query = {
                "meter": "requests",
                "tenant": tenant,
                "window": "hour",
                "group_by": "region",
                "from": (now - timedelta(days=1)).isoformat(),
                "to": (now + timedelta(hours=1)).isoformat(),
            }
            began = time.perf_counter()
            (await http.get("/v1/usage", params=query)).raise_for_status()
            found.append((time.perf_counter() - began) * 1000)
    return found
