"""The loop that brings the log's lines into the spool."""

import asyncio
import time
from collections.abc import Callable

import structlog

from collector import metrics
from collector.seals import Seals
from collector.spool.writer import Spool, SpoolBrokenError, SpoolFullError
from collector.tail.follower import Follower

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05
REFUSED_SECONDS = 1.0


class TailWorker:
    """Step after step: read, commit with the position, go on. Never ahead of the disk.

    When the spool is full the log simply waits where it is, and is read on later.
    """

    def __init__(
        self,
        follower: Follower,
        spool: Spool,
        seals: Seals,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.follower = follower
        self._spool = spool
        self._seals = seals
        self._now_ms = now_ms
        self._stopping = asyncio.Event()
        self.blocked: str | None = None

    async def run(self) -> None:
        while not self._stopping.is_set():
            before_ms = self._now_ms()
            if not await self.advance():
                if not self.follower.half_line and self.blocked is None:
                    self._seals.read_to_end(before_ms)
                pause = POLL_SECONDS if self.blocked is None else REFUSED_SECONDS
                await self._pause(pause)
        self.follower.close()

    def stop(self) -> None:
        self._stopping.set()

    async def advance(self) -> bool:
        """Reads and commits one block; False when there was none, or it was refused."""
        try:
            step = self.follower.step()
            if step is None:
                self.blocked = None
                return False
            await asyncio.wrap_future(self._spool.submit(step.change))
        except SpoolFullError:
            self.blocked = "spool_full"
            return False
        except SpoolBrokenError:
            self.blocked = "spool_broken"
            positions = self._spool.read_positions(str(self.follower.path))
            self.follower.reset(positions)
            return False
        except OSError as error:
            self.blocked = f"cannot read: {error.strerror or error}"
            log.error("tail_unreadable", path=str(self.follower.path), error=str(error))
            return False
        self.follower.applied(step)
        self.blocked = None
        metrics.tail_lines.labels(outcome="usage").inc(len(step.mapped.events))
        for reason, count in step.mapped.skipped.items():
            metrics.tail_lines.labels(outcome=reason).inc(count)
        if step.mapped.bad:
            metrics.tail_lines.labels(outcome="bad").inc(len(step.mapped.bad))
            log.warning("tail_bad_lines", count=len(step.mapped.bad))
        return True

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
