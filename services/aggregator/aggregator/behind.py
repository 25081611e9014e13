"""The events behind usage: a bounded look through what Kafka still holds of usage.events.

The log is not indexed by tenant or time, so a look begins where an event of the range can first
have arrived, and reads on to the end: an event may be late by as much as the log is long. One
answer reads a bounded number of records and says where the next one goes on.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aggregator.backfill import OriginFilter, timed_events
from aggregator.compile import CompiledMeter
from aggregator.fold import Timed
from aggregator.values import Reason
from common.bus.types import Bus, BusError, Message
from common.contracts.topics import EVENTS
from common.events.limits import FUTURE_MS

READ_MESSAGES: Final = 200
READ_SECONDS: Final = 10.0
"""How long records that are known to be in the log may take."""
LOOKED_AT_EVENTS: Final = 300_000
"""About how many events one answer looks at: a second or so."""
CLOCKS_MS: Final = 300_000
"""How far the broker's clock may be from that of the API that judged an event's time."""


@dataclass(frozen=True)
class Wanted:
    """Events of `tenant` that `meter` reads, in [since_ms, until_ms) (Unix milliseconds), whose
    dimensions have the values of `filters`."""

    meter: CompiledMeter
    tenant: str
    since_ms: int
    until_ms: int
    filters: Mapping[str, str]


class Spot(NamedTuple):
    """Where a look goes on. `seen`: the highest origin met in the partition, by partition."""

    partition: int
    offset: int
    item: int
    seen: dict[int, int]


class Behind(NamedTuple):
    """An event behind usage, with what the meter reads from it: a number or, of a unique_count,
    the member's hash."""

    timed: Timed
    partition: int
    group: tuple[str, ...]
    value: Any


class Look(NamedTuple):
    """`following`: where to go on; None at the end of the log. `is_whole`: nothing that could
    belong to the range had been dropped by retention when the look began."""

    found: list[Behind]
    following: Spot | None
    is_whole: bool


async def look(bus: Bus, wanted: Wanted, spot: Spot | None, limit: int) -> Look:
    """Up to `limit` events from `spot` on, or from where the first can be."""
    partitions = await bus.partitions(EVENTS.name)
    arrived_ms = wanted.since_ms - FUTURE_MS - CLOCKS_MS
    is_whole = await _is_whole(bus, partitions, arrived_ms)
    if spot is None:
        spot = Spot(0, await bus.offset_at(EVENTS.name, 0, arrived_ms), 0, {})
    found: list[Behind] = []
    looked_at = 0
    while True:
        end = await bus.end_offset(EVENTS.name, spot.partition)
        kept_from = await bus.beginning_offset(EVENTS.name, spot.partition)
        if spot.offset < kept_from:
            spot, is_whole = spot._replace(offset=kept_from, item=0), False
        if spot.offset < end:
            reader = await bus.reader(EVENTS.name, spot.partition, spot.offset)
            try:
                while spot.offset < end:
                    messages = await reader.read(READ_MESSAGES, READ_SECONDS)
                    if not messages:
                        raise BusError(f"{EVENTS.name}/{spot.partition}: cannot read {spot.offset}")
                    room = limit - len(found)
                    part = await asyncio.to_thread(_pick, wanted, messages, spot, room)
                    found += part.found
                    looked_at += part.looked_at
                    spot = part.spot
                    if len(found) >= limit or looked_at >= LOOKED_AT_EVENTS:
                        return Look(found, spot, is_whole)
            finally:
                await reader.close()
        if spot.partition + 1 == partitions:
            return Look(found, None, is_whole)
        number = spot.partition + 1
        spot = Spot(number, await bus.offset_at(EVENTS.name, number, arrived_ms), 0, {})


class _Part(NamedTuple):
    found: list[Behind]
    looked_at: int
    spot: Spot


def _pick(wanted: Wanted, messages: list[Message], spot: Spot, limit: int) -> _Part:
    """The wanted events of `messages`, at most `limit`, and the spot behind them."""
    origins = OriginFilter(dict(spot.seen))
    found: list[Behind] = []
    looked_at = 0
    for message in messages:
        before = dict(origins.seen)
        if not origins.is_fresh(message):
            spot = Spot(spot.partition, message.offset + 1, 0, origins.seen)
            continue
        first = spot.item if message.offset == spot.offset else 0
        for timed in timed_events([message])[first:]:
            looked_at += 1
            found += _read(wanted, timed, spot.partition)
            if len(found) == limit:
                return _Part(
                    found,
                    looked_at,
                    Spot(spot.partition, message.offset, timed.item + 1, before),
                )
        spot = Spot(spot.partition, message.offset + 1, 0, dict(origins.seen))
    return _Part(found, looked_at, spot)


def _read(wanted: Wanted, timed: Timed, partition: int) -> Iterator[Behind]:
    event, compiled = timed.event, wanted.meter
    if event.subject != wanted.tenant or event.type != compiled.meter.event_type:
        return
    if not wanted.since_ms <= timed.at_ms < wanted.until_ms:
        return
    value = 1 if compiled.read is None else compiled.read(event.data)
    group = compiled.group(event.data)
    named = dict(zip(compiled.names, group, strict=True))
    is_of_group = all(named[name] == value for name, value in wanted.filters.items())
    if is_of_group and not isinstance(value, Reason):
        yield Behind(timed, partition, group, value)


async def _is_whole(bus: Bus, partitions: int, arrived_ms: int) -> bool:
    for number in range(partitions):
        kept_from = await bus.beginning_offset(EVENTS.name, number)
        if kept_from and await bus.offset_at(EVENTS.name, number, arrived_ms) <= kept_from:
            return False
    return True
