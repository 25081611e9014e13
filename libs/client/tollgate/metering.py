"""Sends events in the background, from a bounded buffer, and loses none in silence.

Room is reserved before something is used, and given back when its event has been taken. When
there is no room, the caller waits (backpressure), and is told when it has waited too long: then
it should refuse the use, because what is not used need not be counted.
"""

import asyncio
import logging
from collections import deque
from typing import Literal

from tollgate.client import AsyncClient
from tollgate.errors import ProblemError, TollgateError
from tollgate.event import Event
from tollgate.retry import is_transient

log = logging.getLogger(__name__)

MISCONFIGURED = frozenset({401, 403, 404})
"""Answers that heal when somebody corrects a token or an address: tried again for ever."""


class Sender:
    """A buffer of at most `max_events` events, reserved and under way included.

    to              "collector" (durable on this node) or "ingest".
    linger_seconds  how long an event waits for company before it is sent.

    Counters, for metrics: `sent`, `rejected` (parked by the receiver), `refused` (no room was
    left), `lost` (nobody would take them, or the process ended first; each is logged).
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        to: Literal["collector", "ingest"] = "collector",
        max_events: int = 10_000,
        batch_events: int = 500,
        linger_seconds: float = 0.1,
        pause_seconds: float = 1.0,
    ) -> None:
        self._client = client
        self._to: Literal["collector", "ingest"] = to
        self._batch_events = batch_events
        self._linger_seconds, self._pause_seconds = linger_seconds, pause_seconds
        self._room = asyncio.Semaphore(max_events)
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.sent = self.rejected = self.refused = self.lost = 0

    def start(self) -> None:
        """Begin to send; once is enough."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def reserve(self, wait_seconds: float) -> bool:
        """Take room for one event, waiting for it if need be; False when none came in time."""
        if self._room.locked():
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._room.acquire()
            except TimeoutError:
                self.refused += 1
                return False
            return True
        await self._room.acquire()
        return True

    def release(self) -> None:
        """Give reserved room back unused."""
        self._room.release()

    def put(self, event: Event) -> None:
        """Send `event`, for which room was reserved."""
        self._waiting.append(event)
        self._idle.clear()
        self._arrived.set()

    async def close(self, flush_seconds: float = 10) -> int:
        """Send what is left, for at most `flush_seconds`; returns how many events were lost."""
        self._closing = True
        self._arrived.set()
        lost_before = self.lost
        if self._task is not None:
            try:
                async with asyncio.timeout(flush_seconds):
                    await self._idle.wait()
            except TimeoutError:
                pass
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._waiting:
            self._lose(len(self._waiting), "the process ends and they could not be sent in time")
            self._waiting.clear()
        return self.lost - lost_before

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self._batch_events and not self._closing:
                await asyncio.sleep(self._linger_seconds)
            self._arrived.clear()
            while self._waiting:
                size = min(len(self._waiting), self._batch_events)
                # Kept in the buffer until taken: a cancelled send leaves them to be counted.
                await self._send([self._waiting[index] for index in range(size)])
                for _ in range(size):
                    self._waiting.popleft()
                    self._room.release()
            self._idle.set()

    async def _send(self, events: list[Event]) -> None:
        """Until taken or refused for good: identities are fixed, so sending again is safe."""
        while True:
            try:
                answer = await self._client.send_events(events, to=self._to)
            except TollgateError as error:
                status = error.status if isinstance(error, ProblemError) else None
                if not is_transient(error) and status not in MISCONFIGURED and status != 500:
                    self._lose(len(events), str(error))
                    return
                log.warning("events wait (%d): %s", len(self._waiting), error)
                await asyncio.sleep(self._pause_seconds)
                continue
            self.sent += answer.accepted
            self.rejected += len(answer.rejected)
            for rejected in answer.rejected[:3]:
                log.error("an event was parked: %s %s", rejected.code, rejected.message)
            return

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        log.critical("%d events are lost: %s", count, why)
