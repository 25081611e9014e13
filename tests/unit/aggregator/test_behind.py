"""The events behind usage: found once each, whatever the pages, the repeats and the retention."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.behind import Behind, Look, Spot, Wanted, look
from aggregator.compile import compile_meter
from common.bus.memory import MemoryBus
from common.bus.types import Record
from common.contracts.control import watermark_record
from common.contracts.events import events_record
from common.contracts.meters import Meter
from common.contracts.topics import EVENTS
from common.stream.position import origin_header

HOUR_MS = 3_600_000
NOON_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
METER = compile_meter(
    Meter(
        slug="bytes",
        event_type="http.request",
        aggregation="sum",
        value="bytes",
        group_by={"region": "region"},
    )
)


def event(number: int, *, minute: int = 0, tenant: str = "acme", **data: Any) -> dict[str, Any]:
    return {
        "source": "edge",
        "id": f"e{number}",
        "type": "http.request",
        "subject": tenant,
        "time": f"2026-11-23T{12 + minute // 60}:{minute % 60:02}:00Z",
        "data": {"bytes": number, "region": "eu", **data},
    }


def record(offset: int, *events: dict[str, Any]) -> Record:
    """A record of usage.events; `offset`: of its origin."""
    return events_record(
        "edge",
        [json.dumps(one).encode() for one in events],
        origin=origin_header(0, offset),
        stamped_at_ms=NOON_MS,
        traceparent=None,
    )


def wanted(**filters: str) -> Wanted:
    return Wanted(METER, "acme", NOON_MS, NOON_MS + HOUR_MS, filters)


async def everything(bus: MemoryBus, what: Wanted, limit: int = 100) -> list[Behind]:
    found: list[Behind] = []
    spot: Spot | None = None
    while True:
        page: Look = await look(bus, what, spot, limit)
        assert len(page.found) <= limit
        found += page.found
        if page.following is None:
            return found
        spot = page.following


def ids(found: list[Behind]) -> list[str]:
    return [one.timed.event.id for one in found]


async def test_the_events_of_an_hour_with_what_the_meter_reads() -> None:
    bus = MemoryBus(partitions=2, clock_ms=lambda: NOON_MS)
    other_tenant, later = event(2, tenant="brill"), event(3, minute=60)
    unreadable = event(4, bytes="many")
    await bus.append(EVENTS.name, {0: [record(1, event(1), other_tenant, later, unreadable)]})
    await bus.append(EVENTS.name, {1: [watermark_record(0, 1, 5), record(2, event(5, minute=59))]})

    found = await everything(bus, wanted())

    assert [(one.timed.event.id, one.value, one.group) for one in found] == [
        ("e1", 1, ("eu",)),
        ("e5", 5, ("eu",)),
    ]
    assert [one.partition for one in found] == [0, 1]


async def test_one_value_of_a_dimension() -> None:
    bus = MemoryBus(partitions=1, clock_ms=lambda: NOON_MS)
    await bus.append(EVENTS.name, {0: [record(1, event(1), event(2, region="us"))]})

    assert ids(await everything(bus, wanted(region="us"))) == ["e2"]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), limit=st.integers(1, 7))
async def test_pages_of_any_size_hold_each_event_once(data: st.DataObject, limit: int) -> None:
    """Records come twice, as a takeover emits them again from some origin on."""
    bus = MemoryBus(partitions=2, clock_ms=lambda: NOON_MS)
    expected: list[list[str]] = [[], []]
    number = 0
    for partition in (0, 1):
        made = []
        for origin in range(data.draw(st.integers(0, 5))):
            events = [event(number + k) for k in range(data.draw(st.integers(1, 4)))]
            number += len(events)
            expected[partition] += [one["id"] for one in events]
            made.append(record(origin, *events))
        again = data.draw(st.integers(0, len(made)))
        await bus.append(EVENTS.name, {partition: made + made[again:]})

    found = await everything(bus, wanted(), limit)

    assert ids(found) == expected[0] + expected[1]


@pytest.mark.parametrize(("arrived_ms", "is_whole"), [(NOON_MS, False), (1, True)])
async def test_it_says_whether_retention_may_have_dropped_some(
    arrived_ms: int, is_whole: bool
) -> None:
    """What was dropped had arrived in the range, or long before anything of it could."""
    clock_ms = arrived_ms
    bus = MemoryBus(partitions=1, clock_ms=lambda: clock_ms)
    await bus.append(EVENTS.name, {0: [record(1, event(1)), record(2, event(2))]})
    clock_ms = NOON_MS
    await bus.append(EVENTS.name, {0: [record(3, event(3))]})
    bus.drop_before(EVENTS.name, 0, 1)

    page = await look(bus, wanted(), None, 100)

    assert page.is_whole is is_whole
    assert "e3" in ids(page.found)
