"""What became of one event, from stored facts: ledger, node runs, dead events, and the log."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from common.bus.types import Bus
from common.contracts.control import is_control
from common.contracts.events import CloudEvent, decode_event, time_ms
from common.contracts.received import DAY_MS, ReceivedEvent, ReceivedReject, identity_of
from common.contracts.topics import RECEIVED, shard_of
from ingest.backlog import read_one, tail
from ingest.decode import arrival_of
from ingest.dedupe import Arrival
from ingest.schemas import EventStatus, Origin
from ingest.store import accounting, dead_events, nodes
from ingest.store.first_copies import first_copies

SEARCH_BYTES: Final = 32 * 1024 * 1024
"""How much of each partition's backlog is searched."""
_NODE_MADE_ID: Final = re.compile(r"(.+)-([1-9][0-9]{0,15})")


class _Wanted:
    """An event looked for. `nodes` could have made it, as number `seq` of `epoch`."""

    def __init__(self, source: str, event_id: str) -> None:
        self.source, self.id = source, event_id
        self.identity = identity_of(source, event_id)
        match = _NODE_MADE_ID.fullmatch(event_id)
        self.epoch = match[1] if match else ""
        self.seq = int(match[2]) if match else 0
        parts = source.split("/")
        self.nodes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)] if match else []

    def find(self, arrival: Arrival) -> ReceivedEvent | ReceivedReject | None:
        """The element of an envelope that is this event."""
        for event in arrival.envelope.events:
            if event.identity == self.identity:
                return event
        for reject in arrival.envelope.rejects:
            if (reject.source, reject.id) == (self.source, self.id):
                return reject
        return None


async def find_event(
    pool: asyncpg.Pool, bus: Bus, source: str, event_id: str, *, now_ms: int, days: int
) -> EventStatus:
    """The status of (`source`, `event_id`); of several days, the newest. Raises `BusError`."""
    wanted = _Wanted(source, event_id)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        today = now_ms // DAY_MS
        origins = await first_copies(
            connection, shard_of(source), wanted.identity, today - days - 7, today + 1
        )
        run = None
        if not origins and wanted.nodes:
            run = await nodes.find_run(connection, wanted.nodes, wanted.epoch, wanted.seq)
        dead = await dead_events.by_identity(connection, wanted.identity)
        ends = {a.partition: a.next_offset for a in await accounting.accounts(connection)}
    if origins:
        partition, offset, number = origins[0]
        return await _counted(bus, wanted, dead, partition, offset, number)
    if run is not None:
        found = await _made_by_node(bus, wanted, dead, run)
        if found is not None:
            return found
    open_dead = [row for row in dead if row["state"] in ("open", "replaying", "discarded")]
    if open_dead:
        return _parked(wanted, open_dead)
    return await _pending(bus, wanted, ends)


async def _counted(
    bus: Bus, wanted: _Wanted, dead: Sequence[Any], partition: int, offset: int, number: int
) -> EventStatus:
    status = _status(wanted, "counted", dead)
    status.origin = Origin(partition=partition, offset=offset)
    message = await read_one(bus, partition, offset)
    if message is not None:
        arrival = arrival_of(message)
        _describe(status, arrival, arrival.envelope.events[number])
    return status


async def _made_by_node(
    bus: Bus, wanted: _Wanted, dead: Sequence[Any], run: tuple[str, int, int]
) -> EventStatus | None:
    """By its sequence number; None when the number is another event's."""
    _, partition, offset = run
    message = await read_one(bus, partition, offset)
    if message is None:
        if any(row["origin_offset"] == offset for row in dead):
            return None
        status = _status(wanted, "counted", dead)
    else:
        arrival = arrival_of(message)
        element = wanted.find(arrival)
        if not isinstance(element, ReceivedEvent) or not element.is_node_made:
            return None
        status = _status(wanted, "counted", dead)
        _describe(status, arrival, element)
    status.origin = Origin(partition=partition, offset=offset)
    return status


async def _pending(bus: Bus, wanted: _Wanted, ends: dict[int, int]) -> EventStatus:
    searched_all = True
    for partition in range(await bus.partitions(RECEIVED.name)):
        offset = ends.get(partition)
        if offset is None:
            offset = await bus.beginning_offset(RECEIVED.name, partition)
        size = 0
        async for message in tail(bus, partition, offset, bytes_max=SEARCH_BYTES):
            size += len(message.value or b"")
            if is_control(message):
                continue
            arrival = arrival_of(message)
            element = wanted.find(arrival)
            if element is not None:
                status = _status(wanted, "pending", ())
                status.origin = Origin(partition=partition, offset=message.offset)
                _describe(status, arrival, element)
                return status
        searched_all = searched_all and size <= SEARCH_BYTES
    status = _status(wanted, "unknown", ())
    status.searched_all = searched_all
    return status


def _parked(wanted: _Wanted, dead: Sequence[Any]) -> EventStatus:
    status = _status(wanted, "parked", dead)
    newest = dead[0]
    status.code = newest["code"]
    status.received_at = newest["received_at"]
    status.origin = Origin(partition=newest["origin_partition"], offset=newest["origin_offset"])
    return status


def _status(wanted: _Wanted, state: Any, dead: Sequence[Any]) -> EventStatus:
    conflicts = [
        row for row in dead if row["code"].endswith("_conflict") and row["state"] != "discarded"
    ]
    if state == "counted" and conflicts:
        state = "duplicate_conflict"
    return EventStatus(
        state=state,
        source=wanted.source,
        id=wanted.id,
        dead_events=[str(row["id"]) for row in dead],
        code=conflicts[0]["code"] if state == "duplicate_conflict" else None,
    )


def _describe(
    status: EventStatus, arrival: Arrival, element: ReceivedEvent | ReceivedReject
) -> None:
    """Fill in what the log tells about the event."""
    status.received_at = _instant(arrival.envelope.received_at_ms)
    if isinstance(element, ReceivedReject):
        status.code = element.code
        return
    event: CloudEvent = decode_event(element.raw)
    happened = time_ms(event, arrival.envelope.received_at_ms)
    status.tenant, status.type = event.subject, event.type
    status.time = _instant(happened)
    status.hour = _instant(happened - happened % 3_600_000)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
