"""Follows the throttler's decisions and answers, in microseconds, whether a tenant may go on.

By server-sent events; where these do not come through (a proxy that buffers), by polling.
What is answered while nothing is heard is each decision's own failure policy: common.enforce.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator

import httpx
import msgspec
from httpx_sse import SSEError, aconnect_sse

from common.contracts.decisions import Decision
from common.contracts.wire import UnknownVersion
from common.enforce import Book, Verdict
from tollgate.client import AsyncClient
from tollgate.errors import TollgateError, UnexpectedAnswer

log = logging.getLogger(__name__)

SILENCE_SECONDS = 15
"""Heartbeats come every few seconds; after this long the connection is taken for dead."""


class Notice(msgspec.Struct, frozen=True):
    """The data of an event: items with a snapshot or a delta, none with a heartbeat."""

    revision: int
    items: list[Decision] = []


class Gate:
    """The decisions of one throttler, followed until `close`."""

    def __init__(
        self, client: AsyncClient, *, book: Book | None = None, pause_max_seconds: float = 5
    ) -> None:
        self._client = client
        self._pause_max_seconds = pause_max_seconds
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.book = book or Book()

    def start(self) -> None:
        """Begin to follow; once is enough."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def ready(self, wait_seconds: float) -> bool:
        """Wait for the first word of the throttler; False when none came in time."""
        try:
            async with asyncio.timeout(wait_seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def check(self, tenant: str, cost: int = 1) -> Verdict:
        """Whether `tenant` may go on now."""
        return self.book.check(tenant, time.time_ns(), cost=cost)

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                async for kind, notice in self._events():
                    failures = 0
                    self._take(notice, snapshot=kind == "snapshot")
                raise UnexpectedAnswer("the stream ended")
            except (TollgateError, httpx.HTTPError, SSEError, UnknownVersion) as error:
                log.warning("following decisions: %r", error)
            await self._poll()
            failures += 1
            limit = min(self._pause_max_seconds, 0.2 * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, limit))

    async def _events(self) -> AsyncIterator[tuple[str, Notice]]:
        params = {"since": str(self.book.revision)} if self._heard.is_set() else {}
        url = f"{self._client.addresses.throttler}/v1/decisions"
        timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
        async with aconnect_sse(
            self._client.http, "GET", url, params=params, timeout=timeout
        ) as source:
            if source.response.is_error:
                raise UnexpectedAnswer(f"{url}: {source.response.status_code}")
            async for event in source.aiter_sse():
                if event.event in ("snapshot", "delta", "heartbeat"):
                    yield event.event, _notice(event.data)

    async def _poll(self) -> None:
        """What changed, by an ordinary request; nothing when that does not work either."""
        try:
            answer = await self._client.decisions(
                self.book.revision if self._heard.is_set() else None
            )
            self._take(Notice(answer.revision, _known(answer.items)), snapshot=answer.snapshot)
        except (TollgateError, UnknownVersion) as error:
            log.warning("polling decisions: %s", error)

    def _take(self, notice: Notice, *, snapshot: bool) -> None:
        if snapshot:
            self.book.replace(notice.items, notice.revision)
        else:
            for decision in notice.items:
                self.book.apply(decision)
        self.book.heard(time.time_ns())
        self._heard.set()


def _notice(data: str) -> Notice:
    try:
        notice = msgspec.json.decode(data, type=Notice)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswer(f"decisions: {error}") from None
    _known(notice.items)
    return notice


def _known(decisions: list[Decision]) -> list[Decision]:
    """Refuse decisions of another version: guessing could let through or lock out."""
    for decision in decisions:
        if decision.v != 1:
            raise UnknownVersion(f"decision version {decision.v} is not known here")
    return decisions
