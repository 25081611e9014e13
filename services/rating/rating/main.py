"""Wiring of rating: what is read, what it becomes, what is written.

usage.rollups -> worker.RatingStage -> charges -> billing.charges     (tollgate-rating worker)
tenants       -> publish.tenants_outbox -> catalog.tenants            (tollgate-rating worker)
catalog.meters -> meters.Meters -> checks of plans                    (tollgate-rating api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import typer
from fastapi import FastAPI

from common.bus.group_offsets import GroupOffsets
from common.bus.kafka import KafkaBus
from common.db import create_pool
from common.migrations import migrate as run_migrations
from common.service import background, create_app, serve
from common.stream import PostgresProgress, Processor
from rating.meters import Meters
from rating.publish import tenants_outbox
from rating.routes import charges, plans, subscriptions, tenants
from rating.settings import Settings
from rating.store import SCHEMA
from rating.worker import RatingStage, present

DESCRIPTION = "Tenants, plans, prices and subscriptions; rates usage into charges."
ROUTERS = [tenants.router, plans.router, subscriptions.router, charges.router]
GROUP = "tollgate-rating"
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
                offsets = GroupOffsets(settings.kafka, GROUP, prefix=settings.topic_prefix)
                processor = Processor(
                    bus=bus,
                    progress=PostgresProgress(pool, SCHEMA, settings.database_url),
                    stage=RatingStage(
                        bus,
                        rate_seconds=settings.rate_seconds,
                        rate_subscriptions=settings.rate_subscriptions,
                        clock=clock,
                    ),
                    worker=settings.worker_id,
                    lease_seconds=settings.lease_seconds,
                    on_position=offsets.note,
                )
                outbox = tenants_outbox(pool, bus, settings.worker_id, settings.lease_seconds)
                running += [processor, outbox, offsets]
                checks["leases"] = lambda: processor.is_ready
            if api:
                meters = app.state.meters = Meters(bus, http, settings.aggregator_url)
                running.append(meters.run())
                checks["meters"] = lambda: meters.is_ready
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    return create_app(
        settings,
        title="Tollgate rating",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=ROUTERS if api else [],
    )


def _peers(settings: Settings) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {settings.peer_token}"} if settings.peer_token else {}
    return httpx.AsyncClient(timeout=5, headers=headers)


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
        "rating", database_url=settings.database_url, migrations_url=settings.migrations_url
    )


@cli.command()
def api() -> None:
    """Serve the catalog and the charges."""
    settings = Settings()
    serve(build(settings, api=True, worker=False), settings, "rating-api")


@cli.command()
def worker() -> None:
    """Rate usage and publish tenants; HTTP for health and metrics only."""
    settings = Settings()
    serve(build(settings, api=False, worker=True), settings, "rating-worker")


@cli.command(name="all")
def run_all() -> None:
    """API and worker in one process."""
    settings = Settings()
    serve(build(settings, api=True, worker=True), settings, "rating")


if __name__ == "__main__":
    cli()
