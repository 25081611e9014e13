"""The decisions as a stream: one poll of the database a process, any number of followers.

Revisions are visible in their order, so "everything above the last one I saw" misses nothing.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from common.contracts.decisions import Decision
from common.contracts.topics import ROLLUPS
from common.stream.processor import LOST
from common.stream.watermark import stage_watermark
from throttler import metrics, store

log = logging.getLogger(__name__)

KEPT = 10_000
"""Deltas kept in memory; a follower further behind reads the table."""
BATCH = 1_000
_encoder = msgspec.json.Encoder(decimal_format="string")


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `kind`: snapshot, delta or heartbeat."""

    kind: str
    revision: int
    data: bytes

    def encode(self) -> bytes:
        """As the wire has it; JSON has no line breaks, so `data` is one line."""
        return b"event: %s\nid: %d\ndata: %s\n\n" % (self.kind.encode(), self.revision, self.data)


class Feed:
    """Follows the decisions table every `every_seconds`."""

    def __init__(
        self, pool: asyncpg.Pool, *, partitions: int, every_seconds: float, heartbeat_seconds: float
    ) -> None:
        self._pool, self._partitions = pool, partitions
        self._every_seconds, self._heartbeat_seconds = every_seconds, heartbeat_seconds
        self._recent: deque[Decision] = deque()
        self._floor = 0
        self._grown = asyncio.Condition()
        self._read_at = 0.0
        self._as_of: datetime | None = None
        self._closed = False
        self._history = 0
        """Grows when revisions went back: the database was put back or replaced."""
        self._looks = 0
        """How often the table was read."""
        self.revision = 0

    async def close(self) -> None:
        """End every stream, so that the process can stop; followers come back by themselves."""
        async with self._grown:
            self._closed = True
            self._grown.notify_all()

    @property
    def is_fresh(self) -> bool:
        """Whether the table was read lately: only then may silence be called "no news"."""
        return time.monotonic() - self._read_at < 2 * self._heartbeat_seconds

    async def run(self) -> None:
        """Follow until cancelled; survives a database that goes away."""
        primed = False
        as_of_at = 0.0
        while True:
            try:
                revision = await store.decisions_revision(self._pool)
                if not primed or revision < self.revision:
                    await self._begin(revision)
                    primed = True
                elif revision > self.revision:
                    await self._take(await store.decisions_since(self._pool, self.revision, BATCH))
                if time.monotonic() - as_of_at > 1:
                    self._as_of = await stage_watermark(
                        self._pool, store.SCHEMA, ROLLUPS, self._partitions
                    )
                    as_of_at = time.monotonic()
                self._read_at = time.monotonic()
                self._looks += 1
                metrics.REVISION.set(self.revision)
            except LOST as error:
                log.warning("following decisions: %r; trying again", error)
            await asyncio.sleep(self._every_seconds)

    async def _begin(self, revision: int) -> None:
        """The first look, or another history under us: nothing from before is a delta."""
        self._recent.clear()
        async with self._grown:
            self._history += self.revision > revision
            self.revision = self._floor = revision
            self._grown.notify_all()

    async def _take(self, decisions: list[Decision]) -> None:
        if not decisions:
            return
        self._recent.extend(decisions)
        while len(self._recent) > KEPT:
            self._floor = self._recent.popleft().revision
        async with self._grown:
            self.revision = decisions[-1].revision
            self._grown.notify_all()

    async def wait(self, above: int, seconds: float) -> bool:
        """Wait until there is a decision above revision `above`; False when none came in time."""
        try:
            async with asyncio.timeout(seconds), self._grown:
                await self._grown.wait_for(lambda: self.revision > above or self._closed)
        except TimeoutError:
            return False
        return self.revision > above

    async def page(self, since: int, limit: int) -> list[Decision]:
        """Up to `limit` decisions above `since`, by revision."""
        if since >= self._floor and since <= self.revision:
            newer = [one for one in self._recent if one.revision > since]
            return newer[:limit]
        return await store.decisions_since(self._pool, since, limit)

    async def is_known(self, since: int) -> bool:
        """Whether `since` is a revision of this database; asks it when this process is behind.

        0 is nobody's revision: who asks from there has nothing and gets a snapshot.
        """
        if since < 1:
            return False
        return since <= self.revision or since <= await store.decisions_revision(self._pool)

    async def snapshot(self) -> tuple[int, list[Decision]]:
        """Every current decision, and the revision they are complete up to."""
        # The revision first: what is decided between the two reads comes again as a delta.
        revision = await store.decisions_revision(self._pool)
        decisions: list[Decision] = []
        last = 0
        while True:
            page = await store.decisions_since(self._pool, last, BATCH)
            decisions += page
            last = page[-1].revision if page else last
            if len(page) < BATCH:
                return max(revision, last), decisions

    async def follow(self, since: int | None) -> AsyncIterator[Event]:
        """A snapshot where `since` is absent or unknown, then deltas; heartbeats in between.

        Ends when the process stops or the history changes; the follower comes back and resumes.
        """
        metrics.FOLLOWERS.inc()
        history = self._history
        try:
            if since is None or not await self.is_known(since):
                since, decisions = await self.snapshot()
                yield _event("snapshot", since, decisions)
            else:
                yield self._heartbeat(since)
            looks = self._looks
            while not self._closed and history == self._history:
                if await self.wait(since, self._heartbeat_seconds):
                    page = await self.page(since, BATCH)
                    if page:
                        since = page[-1].revision
                        yield _event("delta", since, page)
                elif since > self.revision and self._looks > looks + 1:
                    # What was read here directly is gone, before this process ever saw it.
                    break
                elif self.is_fresh and not self._closed and history == self._history:
                    yield self._heartbeat(since)
        finally:
            metrics.FOLLOWERS.dec()

    def _heartbeat(self, revision: int) -> Event:
        return _event("heartbeat", revision, None, as_of=self._as_of)


def _event(kind: str, revision: int, items: list[Decision] | None, **more: Any) -> Event:
    body: dict[str, Any] = {"revision": revision, **more}
    if items is not None:
        body["items"] = items
    return Event(kind, revision, _encoder.encode(body))
