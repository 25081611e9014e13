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
from fastapi import FastAPI

from aggregator.retention import Retention
from aggregator.routes import behind, meters, usage
from aggregator.settings import Settings
from aggregator.store import SCHEMA
from aggregator.store.meters import fetch_changes
from aggregator.worker import AggregatorStage
from common.bus.types import Bus
from common.command import service_command
from common.connect import connected
from common.contracts.topics import EVENTS, METERS
from common.service import background, create_app
from common.stream.outbox import Outbox
from common.stream.worker import StageWorker

DESCRIPTION = "Folds usage events into rollups and answers usage queries."


def build(settings: Settings, *, api: bool, worker: bool) -> FastAPI:
    """The application of one process: the API, the worker, or both."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool, bus = await stack.enter_async_context(connected(settings))
            app.state.pool, app.state.bus = pool, bus
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
                worker_of_stage = StageWorker(
                    settings, bus=bus, pool=pool, schema=SCHEMA, stage=stage
                )
                checks["leases"] = lambda: worker_of_stage.is_ready
                running = [
                    worker_of_stage,
                    meters_outbox(pool, bus, settings),
                    Retention(pool, settings),
                ]
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    return create_app(
        settings,
        title="Tollgate aggregator",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=[meters.router, usage.router, behind.router] if api else [],
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


cli = service_command(
    SCHEMA,
    Settings,
    build,
    description=DESCRIPTION,
    api="Serve meters and usage.",
    worker="Fold events and publish rollups.",
)

if __name__ == "__main__":
    cli()
