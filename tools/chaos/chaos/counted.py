"""Which events are in `usage.events`, and how often: read from the log as a receiver would.

It tells when events without a time were stamped, and where the chain broke when a sum is wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from chaos.truth import Cell, Made
from common.bus.kafka import KafkaBus
from common.contracts.control import is_control
from common.contracts.events import decode_events, stamped_at_ms, time_ms
from common.contracts.topics import EVENTS
from common.stream.position import ORIGIN_HEADER, parse_origin

Key = tuple[str, str]
Counted = Mapping[Key, list[int]]
"""The times (Unix ms) of each copy of an event that a receiver takes; by `key_of`."""
IDS_NAMED = 10


def key_of(made: Made) -> Key:
    """How an event is known: by source and id, or by the request id of its log line."""
    return ("log", made.id) if made.source.endswith("/log") else (made.source, made.id)


async def read_counted(bootstrap: str) -> Counted:
    """Reads `usage.events` from its beginning to its end; raises `BusError`."""
    bus = KafkaBus(bootstrap)
    await bus.start()
    found: dict[Key, list[int]] = defaultdict(list)
    try:
        for partition in range(await bus.partitions(EVENTS.name)):
            await _read_partition(bus, partition, found)
    finally:
        await bus.stop()
    return found


async def _read_partition(bus: KafkaBus, partition: int, found: dict[Key, list[int]]) -> None:
    end = await bus.end_offset(EVENTS.name, partition)
    offset = await bus.beginning_offset(EVENTS.name, partition)
    reader = await bus.reader(EVENTS.name, partition, offset)
    seen: dict[int, int] = {}
    try:
        while offset < end:
            for message in await reader.read(2_000, 1.0):
                offset = message.offset + 1
                header = message.header(ORIGIN_HEADER)
                if is_control(message) or header is None:
                    continue
                origin, place = parse_origin(header)
                if place <= seen.get(origin, -1):
                    continue
                seen[origin] = place
                for event in decode_events(message):
                    at = time_ms(event, stamped_at_ms(message))
                    found[_key(event.source, event.id, event.data)].append(at)
    finally:
        await reader.close()


def _key(source: str, id: str, data: Any) -> Key:
    if source.endswith("/nginx"):
        return "log", str(data["request_id"])
    return source, id


def explain(cell: Cell, events: Iterable[Made], counted: Counted) -> list[str]:
    """Which events of a cell whose usage is wrong are missing or doubled, and where."""
    mine = _of(cell, events)
    missing = [made for made in mine if key_of(made) not in counted]
    doubled = [made for made in mine if len(counted.get(key_of(made), ())) > 1]
    lines = [
        f"{len(found)} of its {len(mine)} events {what}: "
        + ", ".join(map(_name, found[:IDS_NAMED]))
        for found, what in (
            (missing, "are not in usage.events"),
            (doubled, "are in usage.events more than once"),
        )
        if found
    ]
    return lines or [
        f"all of its {len(mine)} events are in usage.events once: the aggregator differs;"
        f" they begin with {', '.join(map(_name, mine[:IDS_NAMED]))}"
    ]


def first_of(cell: Cell, events: Iterable[Made], counted: Counted) -> float | None:
    """When the first missing or doubled event of the cell was acknowledged, Unix seconds; the
    first of all where none is known to be."""
    mine = _of(cell, events)
    odd = [made for made in mine if len(counted.get(key_of(made), ())) != 1]
    return min((made.acked_at or made.sent_at for made in odd or mine), default=None)


def _of(cell: Cell, events: Iterable[Made]) -> list[Made]:
    return [
        made
        for made in events
        if made.tenant == cell.tenant
        and made.at_ms is not None
        and made.at_ms // 3_600_000 == int(cell.hour.timestamp()) // 3600
        and cell.host in ("", made.path)
    ]


def _name(made: Made) -> str:
    return f"{made.source} {made.id} (path {made.path}, acknowledged {made.acked_at})"
