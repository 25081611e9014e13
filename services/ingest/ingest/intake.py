"""The way of a request's elements into the log: accept, append, and only then answer."""

import asyncio
import time
from collections.abc import Sequence
from functools import lru_cache

from common import telemetry
from common.bus.types import Bus, BusError, Record
from common.contracts.received import envelope_record
from common.contracts.topics import RECEIVED, partition_for
from common.errors import ApiError
from common.events import validate_all
from ingest import metrics
from ingest.accept import Acceptance, Frame
from ingest.errors import OUTCOME_UNKNOWN

_ELEMENTS_A_TURN = 500
_elements = lru_cache(maxsize=256)(metrics.ELEMENTS.labels)


class Intake:
    """Appends elements to usage.received. One of a process."""

    def __init__(self, bus: Bus, append_seconds: float) -> None:
        self._bus, self._append_seconds = bus, append_seconds

    async def take(
        self, elements: Sequence[bytes], now_ms: int, frame: Frame | None = None
    ) -> Acceptance:
        """Every element is in the log when this returns.

        Raises `ApiError` (503) when the log did not confirm: some of it may be there, or come
        later, and a retry with the same ids does not count twice.
        """
        acceptance = Acceptance(now_ms, frame)
        place = turn = 0
        for judged in validate_all(elements, now_ms):
            acceptance.take(place, judged)
            place += len(judged)
            if place - turn >= _ELEMENTS_A_TURN:
                turn = place
                await asyncio.sleep(0)  # let other requests have a turn
        headers = telemetry.traceparent_headers()
        records = [(e.key, envelope_record(e, headers)) for e in acceptance.envelopes()]
        await self.append(records)
        _elements("accepted").inc(acceptance.accepted)
        for rejection in acceptance.rejections:
            _elements(rejection.code).inc()
        return acceptance

    async def append(self, records: Sequence[tuple[str, Record]]) -> None:
        """Append records under their keys, in order. Raises `ApiError` (503)."""
        if not records:
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._append_seconds):
                partitions = await self._bus.partitions(RECEIVED.name)
                batches: dict[int, list[Record]] = {}
                for key, record in records:
                    batches.setdefault(partition_for(key, partitions), []).append(record)
                await self._bus.append(RECEIVED.name, batches)
        except (BusError, TimeoutError) as error:
            raise ApiError(
                OUTCOME_UNKNOWN, "not acknowledged in time; send the same ids again"
            ) from error
        metrics.APPEND_SECONDS.observe(time.monotonic() - began)
