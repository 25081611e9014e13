"""The parts of one edge node and how they hang together.

apps ── intake ──┐                        ┌── shipper ──▶ ingest
                 ├──▶ spool (one writer) ─┤
log ─── tail ────┘                        └── seals: what a batch may claim

throttler ──▶ feed ──▶ decisions ──▶ gate (nginx, apps)
"""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from collector import metrics
from collector.decisions.feed import DecisionFeed
from collector.decisions.holder import Decisions
from collector.decisions.store import open_decisions
from collector.lock import DirectoryLock
from collector.seals import Seals
from collector.settings import Settings
from collector.shipper import Shipper
from collector.spool.writer import Spool
from collector.tail.follower import Follower
from collector.tail.mapping import LineMapper
from collector.tail.worker import TailWorker
from common.service import background

DECISIONS_FILE = "decisions.sqlite"


class Node:
    """Everything one collector process owns. Opening it loads the last known decisions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        directory = settings.spool_dir
        self.lock = DirectoryLock(directory)
        self.spool = Spool(
            directory,
            settings.node,
            max_bytes=settings.spool_max_bytes,
            min_free_bytes=settings.spool_min_free_bytes,
        )
        self.seals = Seals(
            tailing=settings.nginx_log is not None,
            margin_ms=int(settings.seal_margin_seconds * 1000),
        )
        self.decision_store = open_decisions(settings.spool_dir / DECISIONS_FILE)
        self.decisions = Decisions(
            self.decision_store, silence_seconds=settings.decisions_silence_seconds
        )
        self.tail = self._tail(settings)
        headers = {"Authorization": f"Bearer {settings.peer_token}"} if settings.peer_token else {}
        self.ingest = httpx.AsyncClient(
            base_url=settings.ingest_url,
            headers=headers,
            timeout=httpx.Timeout(settings.ship_timeout_seconds, connect=3.0),
        )
        self.throttler = httpx.AsyncClient(base_url=settings.throttler_url, headers=headers)
        self.feed = DecisionFeed(self.decisions, self.throttler)
        self.shipper = Shipper(
            self.spool,
            self.seals,
            self.ingest,
            linger_seconds=settings.ship_linger_seconds,
            heartbeat_seconds=settings.ship_heartbeat_seconds,
            on_revision=self.feed.wanted,
        )
        self._observe()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the tail, the shipper and the decision feed; closes everything at the end."""
        workers = [self.shipper, self.feed]
        async with AsyncExitStack() as stack:
            stack.callback(self.lock.release)
            stack.callback(self.decision_store.close)
            stack.callback(self.spool.close)
            await stack.enter_async_context(self.ingest)
            await stack.enter_async_context(self.throttler)
            await stack.enter_async_context(background(*workers))
            if self.tail is not None:
                await stack.enter_async_context(background(self.tail))
            yield

    def readiness(self) -> dict[str, bool]:
        """What must hold for this node to do its work; the centre may be away."""
        state = self.spool.state
        return {
            "spool_writable": state.error is None,
            "spool_has_room": not state.full,
            "spool_is_current": not self.shipper.link.rolled_back,
            "log_readable": self.tail is None or self.tail.blocked is None,
        }

    def _tail(self, settings: Settings) -> TailWorker | None:
        if settings.nginx_log is None:
            return None
        path = settings.nginx_log.absolute()
        follower = Follower(
            path,
            self.spool.read_positions(str(path)),
            LineMapper(settings.line_mapping(), settings.node),
            clock=time.monotonic,
            patience_seconds=settings.nginx_rotated_patience_seconds,
            skip_what_is_there=settings.nginx_log_from == "end",
        )
        return TailWorker(follower, self.spool, self.seals)

    def _observe(self) -> None:
        """Gauges that are read from the parts when they are scraped."""
        metrics.spool_bytes.set_function(lambda: self.spool.state.used_bytes)
        metrics.spool_events.set_function(lambda: self.spool.state.unsent)
        metrics.spool_backlog.set_function(lambda: self.spool.state.backlog)
        metrics.spool_full.set_function(lambda: self.spool.state.full)
        metrics.parked.set_function(lambda: self.spool.state.parked)
        metrics.decisions_revision.set_function(lambda: self.decisions.revision)
        metrics.decisions_silence_seconds.set_function(
            lambda: (self.decisions.silence_ns() or 0) / 1e9
        )
