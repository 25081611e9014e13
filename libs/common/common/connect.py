"""Connecting a service at its start, to a database and a broker that may be away.

A process that ended then would only be started again, and starting costs seconds of CPU: all of
them together keep a broker that is coming back from doing so. Waiting costs nothing.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import asyncpg
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from common.bus.kafka import APPEND_SECONDS, KafkaBus
from common.bus.types import BusError
from common.db import create_pool
from common.settings import StreamSettings

log = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE_SECONDS: Final = 600.0
"""After this long the process ends after all, and says what it could not reach."""
AWAY: Final = (
    BusError,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""What a server that will be back answers; a wrong password or database is not among them."""


@asynccontextmanager
async def connected(
    settings: StreamSettings, *, append_seconds: float = APPEND_SECONDS
) -> AsyncIterator[tuple[asyncpg.Pool, KafkaBus]]:
    """The service's pool and bus, when both answer; closed at the end."""
    with _ended_by_sigterm():
        pool = await patiently(lambda: create_pool(settings.database_url), "PostgreSQL")
    try:
        bus = KafkaBus(settings.kafka, prefix=settings.topic_prefix, append_seconds=append_seconds)
        try:
            with _ended_by_sigterm():
                await patiently(bus.start, "Kafka")
            yield pool, bus
        finally:
            await bus.stop()
    finally:
        await pool.close()


async def patiently(
    connect: Callable[[], Awaitable[T]],
    what: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    pause_seconds_max: float = 2.0,
) -> T:
    """What `connect` returns, once `what` is there. Raises its last error when patience ends, and
    at once what waiting cannot heal."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("waiting for %s: %r", what, error)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(AWAY),
        wait=wait_random_exponential(multiplier=0.2, max=pause_seconds_max),
        stop=stop_after_delay(patience_seconds),
        before_sleep=say,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await connect()
    raise AssertionError("tenacity raises the last error")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the waiting: uvicorn looks at it only when the application has started."""
    task = asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: Any = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: Any) -> None:
        if callable(before):
            before(number, frame)
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
