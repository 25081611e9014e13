"""Two small stages with everything that the real ones have: dedupe, origins, emission, sums.

`Relay` takes envelopes (JSON lists of [id, tenant, amount]), keeps the first copy of each id and
emits, for each envelope and output partition, at most one record of the fresh ones. `Sum` adds up.
"""

import json
from collections.abc import Callable
from typing import Any

from common.bus import Bus, BusError, Message, Record
from common.contracts.topics import Topic, partition_for
from common.stream import Partition
from common.stream.position import origin_header
from common.stream.watermark import WatermarkTeller

RAW = Topic("raw", "none", False)
MID = Topic("mid", "none", False)
PARTITIONS = 2

Items = list[list[Any]]


class Relay:
    topic = RAW
    root = True
    tick_seconds: float | None = None

    def __init__(self, bus: Bus, *, emits_again: bool = True, stops_on_error: bool = True) -> None:
        self._bus = bus
        self._emits_again, self._stops_on_error = emits_again, stops_on_error

    async def recover(self, part: Partition) -> None:
        part.state = WatermarkTeller(every_seconds=0.2)
        if self._emits_again and part.emitted_offset < part.next_offset:
            reader = await self._bus.reader(RAW.name, part.number, part.emitted_offset)
            messages: list[Message] = []
            while not messages or messages[-1].offset + 1 < part.next_offset:
                messages += await reader.read(part.next_offset - part.emitted_offset, 1.0)
            await reader.close()
            committed = [m for m in messages if m.offset < part.next_offset]
            await self._send(part, await self._fresh(part.connection, part, committed))
        part.emitted(part.next_offset)

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> Any:
        for message in messages:
            for identity, _, _ in json.loads(message.value or b"[]"):
                if await tx.get("ledger", identity) is None:
                    await tx.put("ledger", identity, (part.number, message.offset))
        return await self._fresh(tx, part, messages)

    async def emit(self, part: Partition, effect: Any) -> None:
        try:
            await self._send(part, effect)
        except BusError:
            if self._stops_on_error:
                raise
        part.emitted(part.next_offset)

    async def _fresh(
        self, tx: Any, part: Partition, messages: list[Message]
    ) -> list[tuple[int, Items]]:
        """What of each envelope was seen there first: decided by the ledger, so always the same."""
        found = []
        for message in messages:
            place = (part.number, message.offset)
            items, here = json.loads(message.value or b"[]"), set()
            fresh = []
            for item in items:
                if item[0] not in here and await tx.get("ledger", item[0]) == place:
                    fresh.append(item)
                    here.add(item[0])
            found.append((message.offset, fresh))
        return found

    async def _send(self, part: Partition, fresh: list[tuple[int, Items]]) -> None:
        batches: dict[int, list[Record]] = {}
        for offset, items in fresh:
            by_partition: dict[int, Items] = {}
            for item in items:
                by_partition.setdefault(partition_for(item[1], PARTITIONS), []).append(item)
            for number, chosen in by_partition.items():
                headers = (origin_header(part.number, offset),)
                record = Record(None, json.dumps(chosen).encode(), headers)
                batches.setdefault(number, []).append(record)
        told = part.state.records(part, inputs=PARTITIONS, outputs=PARTITIONS)
        for number, records in told.items():
            batches.setdefault(number, []).extend(records)
        if batches:
            await self._bus.append(MID.name, batches)


class Sum:
    topic = MID
    root = False
    tick_seconds: float | None = None

    def __init__(self, check_watermark: Callable[[int, int, set[str]], None] | None = None) -> None:
        self._check_watermark = check_watermark

    async def recover(self, part: Partition) -> None:
        """Nothing is emitted."""

    async def apply(self, tx: Any, part: Partition, messages: list[Message]) -> None:
        for message in messages:
            for identity, tenant, amount in json.loads(message.value or b"[]"):
                key = (tenant, part.number)
                await tx.put("sums", key, await tx.get("sums", key, 0) + amount)
                counted = await tx.get("counted", part.number, frozenset())
                await tx.put("counted", part.number, counted | {identity})
        if self._check_watermark is not None and part.watermark_ms is not None:
            counted = await tx.get("counted", part.number, frozenset())
            self._check_watermark(part.number, part.watermark_ms, counted)

    async def emit(self, part: Partition, effect: Any) -> None:
        part.emitted(part.next_offset)
