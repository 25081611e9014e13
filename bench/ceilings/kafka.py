"""Kafka alone: the bus's own settings, records as large as an envelope of 500 events."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.contract import About, Measurement, Repetition
from bench.load.events import Traffic, prepare
from bench.site import Ground, Meter, Site
from common.bus.types import Record
from common.contracts.topics import RECEIVED

PER_RECORD = 500
IN_FLIGHT = 4
"""Appends under way at a time, as there are requests under way in ingest."""


class KafkaCeiling:
    """Produce, then consume what was produced."""

    abouts = (
        About(
            name="kafka.produce",
            family="ceilings",
            unit="event",
            what="aiokafka, acks=all, idempotent, lz4 at level 1, records of 500 events",
        ),
        About(
            name="kafka.consume",
            family="ceilings",
            unit="event",
            what="aiokafka, four partitions, the same records",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        events = site.scale.events
        now = 1_800_000_000_000
        traffic = Traffic(
            seed=site.next_seed(), events=events, per_request=PER_RECORD, begin_ms=now, span_ms=1000
        )
        (requests,) = prepare(traffic).lanes
        records = [Record(b"bench", request) for request in requests]
        async with site.ground("kafka", ()) as ground:
            partitions = await ground.bus.partitions(RECEIVED.name)
            starts = [0] * partitions

            async def measure(_: int) -> Mapping[str, Measurement]:
                produced = await self._produce(site, ground, records, partitions, events)
                consumed = await self._consume(site, ground, starts, len(records), events)
                return {"kafka.produce": produced, "kafka.consume": consumed}

            yield measure

    async def _produce(
        self, site: Site, ground: Ground, records: list[Record], partitions: int, events: int
    ) -> Measurement:
        waiting = list(enumerate(records))
        waiting.reverse()

        async def work() -> None:
            while waiting:
                number, record = waiting.pop()
                await ground.bus.append(RECEIVED.name, {number % partitions: [record]})

        meter = Meter(site)
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT * partitions)))
        return Measurement(units=events, seconds=meter.seconds(), cpu_seconds=meter.cpu_seconds())

    async def _consume(
        self, site: Site, ground: Ground, starts: list[int], wanted: int, events: int
    ) -> Measurement:
        """`starts` is moved to where this repetition ended."""
        found = 0

        async def work(partition: int) -> None:
            nonlocal found
            end = await ground.bus.end_offset(RECEIVED.name, partition)
            reader = await ground.bus.reader(RECEIVED.name, partition, starts[partition])
            while starts[partition] < end:
                messages = await reader.read(500, 1.0)
                found += len(messages)
                starts[partition] = messages[-1].offset + 1 if messages else starts[partition]
            await reader.close()

        meter = Meter(site)
        await asyncio.gather(*(work(partition) for partition in range(len(starts))))
        seconds, cpu = meter.seconds(), meter.cpu_seconds()
        faults = [] if found == wanted else [f"{found} records of {wanted} came back"]
        return Measurement(units=events, seconds=seconds, cpu_seconds=cpu, faults=faults)
