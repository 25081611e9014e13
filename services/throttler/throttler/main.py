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

import httpx
import typer
from fastapi import FastAPI

from common.bus.group_offsets import GroupOffsets
from common.bus.kafka import KafkaBus
from common.contracts.topics import ROLLUPS
from common.db import create_pool
from common.migrations import migrate as run_migrations
from common.service import background, create_app, serve
from common.stream import PostgresProgress, Processor
from throttler import store
from throttler.catalog import TenantProjection
from throttler.feed import Feed
from throttler.meters import Meters
from throttler.publish import decisions_outbox
from throttler.routes import decisions, rules
from throttler.settings import Settings
from throttler.worker import DecisionStage, present

DESCRIPTION = "Evaluates rules on usage and publishes decisions to the edges."
cli = typer.Typer(no_args_is_help=False, add_completion=False, help=DESCRIPTION)


def build(
    settings: Settings, *, api: bool, worker: bool, clock: Callable[[], datetime] = present
) -> FastAPI:
    """The application of one process: the API, the worker, or both.

    `clock` gives the present as an aware UTC datetime.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await create_pool(settings.database_url)
            stack.push_async_callback(pool.close)
            bus = KafkaBus(settings.kafka, prefix=settings.topic_prefix)
            await bus.start()
            stack.push_async_callback(bus.stop)
            http = await stack.enter_async_context(_peers(settings))
            app.state.pool, app.state.clock = pool, clock
            running: list[Any] = []
            checks: dict[str, Callable[[], bool]] = {}
            if worker:
                positions = GroupOffsets(
                    settings.kafka, "tollgate-throttler", prefix=settings.topic_prefix
                )
                processor = Processor(
                    bus=bus,
                    progress=PostgresProgress(pool, store.SCHEMA, settings.database_url),
                    stage=DecisionStage(bus, clock=clock, tick_seconds=settings.tick_seconds),
                    worker=settings.worker_id,
                    lease_seconds=settings.lease_seconds,
                    on_position=positions.note,
                )
                tenants = TenantProjection(pool, bus)
                outbox = decisions_outbox(pool, bus, settings.worker_id, settings.lease_seconds)
                running += [processor, outbox, positions, tenants.run()]
                checks |= {
                    "leases": lambda: processor.is_ready,
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


def _peers(settings: Settings) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {settings.peer_token}"} if settings.peer_token else {}
    return httpx.AsyncClient(timeout=5, headers=headers)


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


@cli.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a sub-command: `all`."""
    if context.invoked_subcommand is None:
        run_all()


@cli.command()
def migrate() -> None:
    """Create or update the schema, as its owner."""
    settings = Settings()
    run_migrations(
        "throttler", database_url=settings.database_url, migrations_url=settings.migrations_url
    )


@cli.command()
def api() -> None:
    """Serve rules and decisions."""
    settings = Settings()
    serve(build(settings, api=True, worker=False), settings, "throttler-api")


@cli.command()
def worker() -> None:
    """Evaluate rules and publish decisions; HTTP for health and metrics only."""
    settings = Settings()
    serve(build(settings, api=False, worker=True), settings, "throttler-worker")


@cli.command(name="all")
def run_all() -> None:
    """API and worker in one process."""
    settings = Settings()
    serve(build(settings, api=True, worker=True), settings, "throttler")


if __name__ == "__main__":
    cli()
