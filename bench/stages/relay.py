"""Deduper, aggregator and rating, one after the other: what one leaves in its topic is the next
one's input, and each has the machine to itself.

A stage is started on a full topic. The clock begins when it claims its first partition: the start
of a Python process is not counted, that of its consumers is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from bench.billing import charged, faults_of_charges, subscribe
from bench.books import Books, traffic
from bench.contract import About, Measurement, Repetition
from bench.load.client import client
from bench.load.events import Traffic
from bench.metering import (
    PATIENCE_SECONDS,
    POLL_SECONDS,
    counted,
    define_meters,
    ends,
    faults_of_usage,
    positions,
    received,
    until_passed,
)
from bench.site import Ground, Meter, Site
from common.contracts.topics import EVENTS, RECEIVED, ROLLUPS, Topic

PER_REQUEST = 500
CONNECTIONS = 8

Progress = Callable[[], Awaitable[int]]


class Relay:
    """Each figure is of one process, the stage's own, with its database and the broker."""

    abouts = (
        About(
            name="ingest.deduper",
            family="stages",
            unit="event",
            what="usage.received to usage.events: ledger, accounting, 5 % repeats",
            ceilings=("kafka.consume", "postgres.copy"),
        ),
        About(
            name="aggregator",
            family="stages",
            unit="event",
            what="usage.events to rollups, two meters, one dimension, 20,000 live hour rows",
            ceilings=("kafka.consume", "postgres.upsert"),
        ),
        About(
            name="rating",
            family="stages",
            unit="rollup",
            what="usage.rollups to charges, two prices a tenant",
            ceilings=("postgres.upsert",),
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("relay", ["ingest", "aggregator", "rating"]) as ground:
            await ground.start("aggregator", "rating")
            await define_meters(ground)
            await subscribe(ground, site.tenants(), datetime.now(UTC) - timedelta(days=1))
            await ground.stop()
            books = Books(site.scale.tenants)

            async def measure(_: int) -> Mapping[str, Measurement]:
                load = await _fill(site, ground, books)
                return {
                    "ingest.deduper": await _dedupe(site, ground, books),
                    "aggregator": await _aggregate(site, ground, books, load),
                    "rating": await _rate(site, ground, books),
                }

            yield measure


async def _fill(site: Site, ground: Ground, books: Books) -> Traffic:
    load = traffic(site, site.scale.events, per_request=PER_REQUEST)
    await ground.start("ingest-api")
    async with client(ground.url("ingest-api"), load, connections=CONNECTIONS) as ready:
        books.add(ready.truth, ready.sent)
        await ready.run()
    await ground.stop("ingest-api")
    return load


async def _dedupe(site: Site, ground: Ground, books: Books) -> Measurement:
    before = await received(ground)
    watch = Watch(site, ground, "ingest", RECEIVED)
    seconds, cpu = await watch.time("ingest-deduper", lambda: received(ground), books.sent)
    fresh = await counted(ground)
    await ground.stop("ingest-deduper")
    faults = [] if fresh == books.distinct else [f"{fresh} counted, not {books.distinct}"]
    return Measurement(units=books.sent - before, seconds=seconds, cpu_seconds=cpu, faults=faults)


async def _aggregate(site: Site, ground: Ground, books: Books, load: Traffic) -> Measurement:
    watch = Watch(site, ground, "aggregator", EVENTS)
    seconds, cpu = await watch.time("aggregator", watch.position, await watch.end())
    faults = await faults_of_usage(ground, books.truth, load)
    await _until_published(ground)
    await ground.stop("aggregator")
    return Measurement(units=load.events, seconds=seconds, cpu_seconds=cpu, faults=faults)


async def _rate(site: Site, ground: Ground, books: Books) -> Measurement:
    watch = Watch(site, ground, "rating", ROLLUPS)
    before, end = await watch.position(), await watch.end()
    owed = sum(books.truth.counts) + sum(books.truth.sums)

    async def done() -> int:
        """Rollups read; the last one counts only when everything has been charged."""
        read = await watch.position()
        return read if read < end or await charged(ground, site.tenants()) == owed else end - 1

    seconds, cpu = await watch.time("rating", done, end)
    faults = await faults_of_charges(ground, books.truth)
    await ground.stop("rating")
    return Measurement(units=end - before, seconds=seconds, cpu_seconds=cpu, faults=faults)


async def _until_published(ground: Ground) -> None:
    """Returns when the aggregator has published all that it changed."""
    pool = await ground.pool("aggregator")
    query = "SELECT count(*) FROM aggregator.shards WHERE version > emitted_version"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await pool.fetchval(query):
        if time.monotonic() > deadline:
            raise TimeoutError("the aggregator goes on publishing")
        await asyncio.sleep(POLL_SECONDS)
    await until_passed(ground, "aggregator", EVENTS.name)


class Watch:
    """A stage's progress through its topic, and the time it takes."""

    def __init__(self, site: Site, ground: Ground, service: str, topic: Topic) -> None:
        self._site, self._ground = site, ground
        self._service, self._topic = service, topic.name

    async def position(self) -> int:
        """Records read, over all partitions."""
        return sum((await positions(self._ground, self._service, self._topic)).values())

    async def end(self) -> int:
        """Records that the topic holds."""
        return sum((await ends(self._ground, self._topic)).values())

    async def time(
        self, process: str, progress: Progress, end: int
    ) -> tuple[float, dict[str, float]]:
        """Starts the stage; (seconds, CPU seconds by process) from its first claim until
        `progress` is at `end`. TimeoutError when it stands still."""
        epochs = await self._epochs()
        await self._ground.start_unready(process)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await self._epochs() == epochs:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{process} claims nothing of {self._topic}")
            await asyncio.sleep(POLL_SECONDS)
        meter = Meter(self._site)
        at, moved = -1, time.monotonic()
        while (now := await progress()) < end:
            if now != at:
                at, moved = now, time.monotonic()
            if time.monotonic() - moved > PATIENCE_SECONDS:
                raise TimeoutError(f"{process} stands at {now} of {end} in {self._topic}")
            await asyncio.sleep(POLL_SECONDS)
        return meter.seconds(), meter.cpu_seconds()

    async def _epochs(self) -> int:
        """Grows with every claim."""
        pool = await self._ground.pool(self._service)
        return int(
            await pool.fetchval(
                f"""
                SELECT coalesce(sum(epoch), 0)
                FROM {self._service}.partition_progress
                WHERE topic = $1
                """,
                self._topic,
            )
        )
