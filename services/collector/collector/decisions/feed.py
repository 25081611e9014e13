"""Follows the throttler's decisions: server-sent events, and JSON polls where those fail.

The collector dials out only. Whatever fails, the decisions in force stay; their own failure
policies say what the silence means.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass

import httpx
import msgspec
import structlog
from httpx_sse import EventSource, SSEError, aconnect_sse

from collector.decisions.holder import Decisions
from common.contracts.decisions import Decision

log = structlog.get_logger(__name__)

SILENCE_SECONDS = 15.0
BACKOFF_SECONDS_MAX = 5.0
POLL_TIMEOUT_SECONDS = 10.0


class News(msgspec.Struct):
    """A snapshot, a delta or a heartbeat, as an event or as the answer to a poll."""

    revision: int
    items: list[Decision] = []
    snapshot: bool = False
    next: str | None = None


_decoder = msgspec.json.Decoder(News)


@dataclass(slots=True)
class Line:
    """How the throttler is being heard. `via`: `sse`, `poll`, or None while it is not."""

    via: str | None = None
    last_error: str | None = None


class DecisionFeed:
    """Keeps `decisions` up to date until it is stopped."""

    def __init__(
        self,
        decisions: Decisions,
        client: httpx.AsyncClient,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        backoff_seconds_max: float = BACKOFF_SECONDS_MAX,
    ) -> None:
        self.line = Line()
        self._decisions = decisions
        self._client = client
        self._silence_seconds = silence_seconds
        self._backoff_seconds_max = backoff_seconds_max
        self._stopping = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted_revision = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._follow()),
                group.create_task(self._fetch_on_demand()),
            ]
            await self._stopping.wait()
            for loop in loops:
                loop.cancel()

    def stop(self) -> None:
        self._stopping.set()

    def wanted(self, revision: int) -> None:
        """The centre has decisions up to `revision`: fetch them unless they are here."""
        if revision > max(self._decisions.revision, self._wanted_revision):
            self._wanted_revision = revision
            self._wanted.set()

    async def poll(self) -> None:
        """Fetches by JSON what is newer than what is in force."""
        while True:
            answer = await self._client.get(
                "/v1/decisions", params=self._since(), timeout=POLL_TIMEOUT_SECONDS
            )
            answer.raise_for_status()
            news = _decoder.decode(answer.content)
            if news.snapshot:
                self._decisions.replace(news.items, news.revision)
            else:
                revision = news.revision if news.next is None else int(news.next)
                self._decisions.apply(news.items, revision)
            if news.next is None or news.snapshot:
                return

    async def _follow(self) -> None:
        failures = 0
        while True:
            before = self.line.via
            try:
                await self._listen()
                failures = 0
            except (httpx.HTTPError, SSEError, TimeoutError, msgspec.MsgspecError) as error:
                self._lost(error)
            failures = 0 if before == "sse" else failures + 1
            try:
                await self.poll()
                self.line.via = "poll"
            except (httpx.HTTPError, msgspec.MsgspecError, ValueError) as error:
                self._lost(error)
            limit = min(self._backoff_seconds_max, 0.25 * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0.05, limit))

    async def _listen(self) -> None:
        """Follows one connection; ends with an error, or when the throttler closes it."""
        timeout = httpx.Timeout(5.0, read=self._silence_seconds)
        headers = {}
        if self._decisions.revision:
            headers["Last-Event-ID"] = str(self._decisions.revision)
        async with aconnect_sse(
            self._client,
            "GET",
            "/v1/decisions",
            params=self._since(),
            headers=headers,
            timeout=timeout,
        ) as source:
            source.response.raise_for_status()
            await self._hear(source)

    async def _hear(self, source: EventSource) -> None:
        async for event in source.aiter_sse():
            news = _decoder.decode(event.data)
            match event.event:
                case "snapshot":
                    self._decisions.replace(news.items, news.revision)
                case "delta":
                    self._decisions.apply(news.items, news.revision)
                case "heartbeat":
                    self._decisions.heartbeat(news.revision)
                    self.wanted(news.revision)
                case _:
                    continue
            if self.line.via != "sse":
                log.info("decisions_followed", revision=self._decisions.revision)
            self.line.via = "sse"
            self.line.last_error = None

    async def _fetch_on_demand(self) -> None:
        """An answer of ingest named a revision that is not here yet."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._wanted_revision > self._decisions.revision:
                with contextlib.suppress(httpx.HTTPError, msgspec.MsgspecError, ValueError):
                    await self.poll()
            self._wanted_revision = 0
            await asyncio.sleep(0.05)

    def _since(self) -> dict[str, str]:
        revision = self._decisions.revision
        return {"since": str(revision)} if revision else {}

    def _lost(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self.line.via is not None or self.line.last_error is None:
            log.warning("throttler_unreachable", reason=reason)
        self.line.via = None
        self.line.last_error = reason
