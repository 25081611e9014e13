"""From POST to `GET /v1/usage`, at full speed: the clock stops when the last event is visible."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.billing import faults_of_charges, until_charged
from bench.books import Books, traffic
from bench.contract import About, Measurement, Repetition
from bench.load.client import client
from bench.load.events import Kind, Traffic
from bench.metering import define_meters, until_counted
from bench.site import Ground, Meter, Site

PATH = ("ingest-api", "ingest-deduper", "aggregator")
CONNECTIONS = 8
KINDS: tuple[Kind, ...] = ("events", "batches")
PER_REQUEST = {"events": 500, "batches": 1000}


async def push(
    site: Site, ground: Ground, books: Books, load: Traffic, *, charging: bool = False
) -> Measurement:
    """Sends `load` as fast as it is taken, and waits until all of it is visible. With `charging`
    it also waits for the charges: CPU time is counted to there, the rate to what is visible."""
    async with client(ground.url("ingest-api"), load, connections=CONNECTIONS) as ready:
        books.add(ready.truth, ready.sent)
        with site.profiled(load.kind):
            meter = Meter(site)
            result = await ready.run()
            await until_counted(ground, books.sent)
            seconds = meter.seconds()
            if charging:
                await until_charged(ground, books.truth)
            late_ms = (meter.seconds() - seconds) * 1000
            cpu, rss = meter.cpu_seconds(result.cpu_seconds), meter.rss_bytes()
        faults = await books.faults(ground, load)
        if charging:
            faults += await faults_of_charges(ground, books.truth)
        if result.retried:
            faults.append(f"{result.retried} requests were answered 503 at first")
        return Measurement(
            units=ready.sent,
            seconds=seconds,
            cpu_seconds=cpu,
            latencies_ms={
                "2xx": result.latencies_ms,
                **({"charged after that": [late_ms]} if charging else {}),
            },
            rss_bytes=rss,
            faults=faults,
        )


class Throughput:
    """Three processes beside client, broker and database: what usage takes to be visible. Billing
    and throttling rest."""

    abouts = (
        About(
            name="endtoend.events",
            family="endtoend",
            unit="event",
            what="POST to GET /v1/usage: random UUIDs, requests of 500, 8 connections, 5 % twice",
            ceilings=("kafka.produce", "kafka.consume"),
        ),
        About(
            name="endtoend.batches",
            family="endtoend",
            unit="event",
            what="the same for collector batches of 1,000, zstd, 8 nodes, 5 % of them twice",
            ceilings=("kafka.produce", "kafka.consume"),
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("through", ["ingest", "aggregator"]) as ground:
            await ground.start(*PATH)
            await define_meters(ground)
            books = Books(site.scale.tenants)
            await push(site, ground, books, _traffic(site, "events", site.scale.events // 10))

            async def measure(_: int) -> Mapping[str, Measurement]:
                found = {}
                for kind in KINDS:
                    load = _traffic(site, kind, site.scale.events * site.scale.sustained)
                    found[f"endtoend.{kind}"] = await push(site, ground, books, load)
                return found

            yield measure


def _traffic(site: Site, kind: Kind, events: int) -> Traffic:
    return traffic(site, events, per_request=PER_REQUEST[kind], kind=kind)
