"""Wiring of the aggregator: what is read, what it becomes, what is written.

usage.events -> worker.AggregatorStage -> slots, hours, days, members   (tollgate-aggregator worker)
rollup rows  -> publish                -> usage.rollups
meters       -> Outbox                 -> catalog.meters
meters, rollup rows -> routes                                           (tollgate-aggregator api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import typer
from fastapi import FastAPI

from aggregator.retention import Retention
from aggregator.routes import meters, usage
from aggregator.settings import Settings
from aggregator.store import SCHEMA
from aggregator.store.meters import fetch_changes
from aggregator.worker import AggregatorStage
from common.bus.group_offsets import GroupOffsets
from common.bus.kafka import KafkaBus
from common.bus.types import Bus
from common.contracts.topics import EVENTS, METERS
from common.db import create_pool
from common.migrations import migrate as run_migrations
from common.service import background, create_app, serve
from common.stream import PostgresProgress, Processor
from common.stream.outbox import Outbox

DESCRIPTION = "Folds usage events into rollups and answers usage queries."
cli = typer.Typer(no_args_is_help=False, add_completion=False, help=DESCRIPTION)


def build(settings: Settings, *, api: bool, worker: bool) -> FastAPI:
    """The application of one process: the API, the worker, or both."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await create_pool(settings.database_url)
            stack.push_async_callback(pool.close)
            bus = KafkaBus(settings.kafka, prefix=settings.topic_prefix)
            await bus.start()
            stack.push_async_callback(bus.stop)
            app.state.pool = pool
            app.state.partitions = await bus.partitions(EVENTS.name)
            checks: dict[str, Callable[[], bool]] = {}
            running: list[Any] = []
            if worker:
                stage = AggregatorStage(
                    bus,
                    emit_seconds=settings.emit_seconds,
                    backfill_events=settings.backfill_events,
                )
                stack.push_async_callback(stage.close)
                positions = GroupOffsets(
                    settings.kafka, "tollgate-aggregator", prefix=settings.topic_prefix
                )
                processor = Processor(
                    bus=bus,
                    progress=PostgresProgress(pool, SCHEMA, settings.database_url),
                    stage=stage,
                    worker=settings.worker_id,
                    lease_seconds=settings.lease_seconds,
                    on_position=positions.note,
                )
                checks["leases"] = lambda: processor.is_ready
                running = [
                    processor,
                    meters_outbox(pool, bus, settings),
                    Retention(pool, settings),
                    positions,
                ]
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    return create_app(
        settings,
        title="Tollgate aggregator",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=[meters.router, usage.router] if api else [],
    )


def meters_outbox(pool: asyncpg.Pool, bus: Bus, settings: Settings) -> Outbox:
    """Publishes meters to catalog.meters in the order of their revisions."""
    return Outbox(
        pool=pool,
        bus=bus,
        schema=SCHEMA,
        name=METERS.name,
        topic=METERS,
        fetch=fetch_changes,
        worker=settings.worker_id,
        lease_seconds=settings.lease_seconds,
    )


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
        SCHEMA, database_url=settings.database_url, migrations_url=settings.migrations_url
    )


@cli.command()
def api() -> None:
    """Serve meters and usage."""
    settings = Settings()
    serve(build(settings, api=True, worker=False), settings, "aggregator-api")


@cli.command()
def worker() -> None:
    """Fold events and publish rollups; HTTP for health and metrics only."""
    settings = Settings()
    serve(build(settings, api=False, worker=True), settings, "aggregator-worker")


@cli.command(name="all")
def run_all() -> None:
    """API and worker in one process."""
    settings = Settings()
    serve(build(settings, api=True, worker=True), settings, "aggregator")


if __name__ == "__main__":
    cli()
