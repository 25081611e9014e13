"""The ingest API alone: requests of several sizes into `usage.received`, nobody reads them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.books import traffic
from bench.contract import About, Measurement, Repetition
from bench.load.client import client
from bench.metering import ends
from bench.site import Ground, Meter, Site
from common.contracts.received import count_of
from common.contracts.topics import RECEIVED

SIZES = {1: 32, 10: 32, 100: 16, 500: 8}
"""Events a request, and connections."""


class IngestApi:
    """One process; the rate is in requests, for requests of one event, and in events else."""

    abouts = tuple(
        About(
            name=f"ingest.api.{size}",
            family="stages",
            unit="event",
            what=f"POST /v1/events, {size} event{'s' * (size > 1)} a request, "
            f"{connections} connections, one process",
            ceilings=("http.fastapi", "http.asgi") if size == 1 else ("kafka.produce",),
        )
        for size, connections in SIZES.items()
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("api", ["ingest"]) as ground:
            await ground.start("ingest-api")
            await self._take(site, ground, 500, site.scale.small_requests)

            async def measure(_: int) -> Mapping[str, Measurement]:
                return {
                    f"ingest.api.{size}": await self._take(site, ground, size, _events(site, size))
                    for size in SIZES
                }

            yield measure

    async def _take(self, site: Site, ground: Ground, size: int, events: int) -> Measurement:
        load = traffic(site, events, per_request=size)
        starts = await ends(ground, RECEIVED.name)
        async with client(ground.url("ingest-api"), load, connections=SIZES[size]) as ready:
            meter = Meter(site)
            result = await ready.run()
            cpu = meter.cpu_seconds(result.cpu_seconds)
            found = await logged(ground, starts)
            faults = [] if found == ready.sent else [f"{found} of {ready.sent} are in the log"]
            return Measurement(
                units=ready.sent,
                seconds=result.seconds,
                cpu_seconds=cpu,
                latencies_ms={"2xx": result.latencies_ms},
                faults=faults,
            )


def _events(site: Site, size: int) -> int:
    return min(site.scale.small_requests * size, site.scale.events)


async def logged(ground: Ground, starts: Mapping[int, int]) -> int:
    """Elements in `usage.received` from the offsets `starts` to the ends now."""
    found = 0
    for partition, end in (await ends(ground, RECEIVED.name)).items():
        at = starts[partition]
        reader = await ground.bus.reader(RECEIVED.name, partition, at)
        while at < end:
            messages = await reader.read(1000, 5.0)
            if not messages:
                raise TimeoutError(f"{RECEIVED.name}/{partition} gives nothing at {at} of {end}")
            found += sum(count_of(message) for message in messages)
            at = messages[-1].offset + 1
        await reader.close()
    return found
