"""Changed rollups to usage.rollups, after their commit.

What is published is what the tables hold: as they answered when they were written or, after a
takeover, read back. So publishing again says the same or something newer.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from aggregator import metrics
from aggregator.store.changes import changed_rollups
from common.bus.types import Bus, Headers, Record
from common.contracts.rollups import Rollup, Slot, rollup_record
from common.contracts.topics import ROLLUPS
from common.stream import Partition

MEMBERS_PER_RECORD = 20_000
"""A record has to stay within the broker's limit; a slot may gain any number of members."""


async def publish_stored(
    bus: Bus, part: Partition, *, after_version: int, outputs: int, headers: Headers
) -> None:
    """Append every row of the shard above `after_version`, as the tables have it.

    `outputs`: partitions of usage.rollups. Raises `BusError`.
    """
    async for rollups in changed_rollups(part.connection, part.number, after_version):
        await _publish(bus, rollups, outputs, headers)


async def publish_changes(
    bus: Bus, pages: Iterable[Sequence[Rollup]], *, outputs: int, headers: Headers
) -> None:
    """Append rollups, page by page. Raises `BusError`."""
    for rollups in pages:
        await _publish(bus, rollups, outputs, headers)


async def _publish(bus: Bus, rollups: Sequence[Rollup], outputs: int, headers: Headers) -> None:
    """Append, and wait for the acks."""
    batches: dict[int, list[Record]] = {}
    for partition, record in records(rollups, outputs):
        if headers:
            record = msgspec.structs.replace(record, headers=record.headers + headers)
        batches.setdefault(partition, []).append(record)
    await bus.append(ROLLUPS.name, batches)
    metrics.PUBLISHED.inc(len(rollups))


def records(rollups: Iterable[Rollup], outputs: int) -> Iterator[tuple[int, Record]]:
    """(partition, record) of `rollups`; one with very many members becomes several records.

    Their keys differ, because compaction keeps one record a key and every member must stay.
    """
    for rollup in rollups:
        for number, part in enumerate(split_members(rollup)):
            partition, record = rollup_record(part, outputs)
            if number:
                record = msgspec.structs.replace(record, key=(record.key or b"") + b"/%d" % number)
            yield partition, record


def split_members(rollup: Rollup, most: int = MEMBERS_PER_RECORD) -> Iterator[Rollup]:
    """`rollup` in parts of at most `most` members; its values stand in each part."""
    if sum(len(slot.members) for slot in rollup.slots) <= most:
        yield rollup
        return
    slots: list[Slot] = []
    room = most
    for slot in rollup.slots:
        members = slot.members
        while len(members) > room:
            slots.append(msgspec.structs.replace(slot, members=members[:room]))
            yield msgspec.structs.replace(rollup, slots=slots)
            members, slots, room = members[room:], [], most
        slots.append(msgspec.structs.replace(slot, members=members))
        room -= len(members)
    yield msgspec.structs.replace(rollup, slots=slots)
