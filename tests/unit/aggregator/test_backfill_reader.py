"""Reading what lies before a meter, over the memory bus: bounds, repeats, retention."""

import json

from aggregator.backfill import BackfillReader, Chunk
from aggregator.store.backfills import Backfill
from common.bus.memory import MemoryBus
from common.bus.types import Record
from common.contracts.control import watermark_record
from common.contracts.events import events_record
from common.contracts.topics import EVENTS
from common.stream.position import origin_header


def record(origin: int, *ids: str) -> Record:
    events = [
        {"source": "edge", "id": one, "type": "request", "subject": "acme", "data": {}}
        for one in ids
    ]
    return events_record(
        "edge",
        [json.dumps(event).encode() for event in events],
        origin=origin_header(0, origin),
        stamped_at_ms=1_795_435_200_000,
        traceparent=None,
    )


async def filled(*records: Record) -> MemoryBus:
    bus = MemoryBus(partitions=1)
    await bus.append(EVENTS.name, {0: list(records)})
    return bus


async def read_all(bus: MemoryBus, backfill: Backfill, chunk_events: int = 100) -> list[Chunk]:
    """Every chunk, each committed before the next is read."""
    reader = BackfillReader(bus, backfill, chunk_events)
    chunks = []
    while backfill.position < backfill.from_offset:
        chunk = await reader.next_chunk()
        assert chunk is not None
        chunks.append(chunk)
        backfill = backfill._replace(position=chunk.position, seen=chunk.seen)
        reader.committed(backfill)
    await reader.close()
    return chunks


def ids(chunks: list[Chunk]) -> list[str]:
    return [timed.event.id for chunk in chunks for timed in chunk.events]


async def test_everything_before_the_meter_is_read_and_nothing_after() -> None:
    bus = await filled(
        record(1, "a", "b"), watermark_record(0, 1, 1), record(2, "c"), record(3, "d")
    )
    chunks = await read_all(bus, Backfill(1, 0, 3, 0, {}, []))
    assert ids(chunks) == ["a", "b", "c"]
    assert chunks[-1].position == 3


async def test_chunks_are_small_and_join_without_a_seam() -> None:
    bus = await filled(*(record(n, f"{n}") for n in range(10)))
    chunks = await read_all(bus, Backfill(1, 0, 10, 0, {}, []), chunk_events=3)
    assert [len(chunk.events) for chunk in chunks] == [3, 3, 3, 1]
    assert ids(chunks) == [str(n) for n in range(10)]


async def test_records_emitted_again_are_dropped_also_across_a_restart() -> None:
    bus = await filled(
        record(1, "a"), record(2, "b"), record(1, "a"), record(2, "b"), record(3, "c")
    )
    whole = Backfill(1, 0, 5, 0, {}, [])
    assert ids(await read_all(bus, whole)) == ["a", "b", "c"]
    first = await BackfillReader(bus, whole, 2).next_chunk()
    assert first is not None
    rest = await read_all(bus, whole._replace(position=first.position, seen=first.seen))
    assert ids([first, *rest]) == ["a", "b", "c"]


async def test_what_retention_has_taken_is_passed_over() -> None:
    bus = await filled(record(1, "a"), record(2, "b"), record(3, "c"))
    bus.drop_before(EVENTS.name, 0, 2)
    assert ids(await read_all(bus, Backfill(1, 0, 3, 0, {}, []))) == ["c"]
    bus.drop_before(EVENTS.name, 0, 3)
    chunks = await read_all(bus, Backfill(1, 0, 3, 0, {}, []))
    assert (ids(chunks), chunks[-1].position) == ([], 3)


async def test_a_log_that_had_nothing_is_done_at_once() -> None:
    chunk = await BackfillReader(
        MemoryBus(partitions=1), Backfill(1, 0, 0, 0, {}, []), 9
    ).next_chunk()
    assert chunk == Chunk([], 0, {})
