"""Wiring of the throttler: what is read, what it becomes, what is written.

usage.rollups   -> worker.DecisionStage -> decisions, decision_log   (tollgate-throttler worker)
catalog.tenants -> catalog.TenantProjection -> tenants
decisions       -> publish.decisions_outbox -> throttle.decisions
decisions       -> feed.Feed -> GET /v1/decisions                    (tollgate-throttler api)
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from types import FrameType
from typing import Any

from fastapi import FastAPI

from common.command import service_command
from common.connect import connected
from common.contracts.topics import ROLLUPS
from common.meters import Meters
from common.peers import peer_client
from common.service import background, create_app
from common.stream.worker import StageWorker
from common.usage import GATHER_SECONDS, STEP_ROLLUPS
from throttler import store
from throttler.catalog import TenantProjection
from throttler.feed import Feed
from throttler.publish import decisions_outbox
from throttler.routes import decisions, rules
from throttler.settings import Settings
from throttler.worker import DecisionStage, present

DESCRIPTION = "Evaluates rules on usage and publishes decisions to the edges."


def build(
    settings: Settings, *, api: bool, worker: bool, clock: Callable[[], datetime] = present
) -> FastAPI:
    """The application of one process: the API, the worker, or both.

    `clock` gives the present as an aware UTC datetime.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool, bus = await stack.enter_async_context(connected(settings))
            http = await stack.enter_async_context(peer_client(settings))
            app.state.pool, app.state.clock = pool, clock
            running: list[Any] = []
            checks: dict[str, Callable[[], bool]] = {}
            if worker:
                stage = StageWorker(
                    settings,
                    bus=bus,
                    pool=pool,
                    schema=store.SCHEMA,
                    stage=DecisionStage(bus, clock=clock, tick_seconds=settings.tick_seconds),
                    read_messages=STEP_ROLLUPS,
                    gather_seconds=GATHER_SECONDS,
                )
                tenants = TenantProjection(pool, bus)
                outbox = decisions_outbox(pool, bus, settings.worker_id, settings.lease_seconds)
                running += [stage, outbox, tenants.run()]
                checks |= {
                    "leases": lambda: stage.is_ready,
                    "tenants": lambda: tenants.is_ready,
                }
            if api:
                meters = app.state.meters = Meters(bus, http, settings.aggregator_url)
                feed = app.state.feed = Feed(
                    pool,
                    partitions=await bus.partitions(ROLLUPS.name),
                    every_seconds=settings.feed_seconds,
                    heartbeat_seconds=settings.heartbeat_seconds,
                )
                stack.enter_context(_on_signal(feed.close))
                running += [meters.run(), feed.run()]
                checks["decisions"] = lambda: feed.is_fresh
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    return create_app(
        settings,
        title="Tollgate throttler",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=[rules.router, decisions.router] if api else [],
    )


@contextmanager
def _on_signal(end: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """End the event streams on SIGTERM: the server waits for open responses before it stops."""
    loop = asyncio.get_running_loop()
    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, handler: Any = handler) -> None:
            asyncio.run_coroutine_threadsafe(end(), loop)
            if callable(handler):
                handler(number, frame)

        try:
            before[number] = signal.signal(number, handle)
        except ValueError:
            # Not the main thread: a test runs the application, and ends streams by itself.
            break
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


cli = service_command(
    store.SCHEMA,
    Settings,
    build,
    description=DESCRIPTION,
    api="Serve rules and decisions.",
    worker="Evaluate rules and publish decisions.",
)

if __name__ == "__main__":
    cli()
