"""Wiring of rating: what is read, what it becomes, what is written.

usage.rollups -> worker.RatingStage -> charges -> billing.charges     (tollgate-rating worker)
tenants       -> publish.tenants_outbox -> catalog.tenants            (tollgate-rating worker)
catalog.meters -> meters.Meters -> checks of plans                    (tollgate-rating api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI

from common.command import service_command
from common.connect import connected
from common.meters import Meters
from common.peers import peer_client
from common.service import background, create_app
from common.stream.worker import StageWorker
from common.usage import GATHER_SECONDS, STEP_ROLLUPS
from rating.plan_book import PlanBook
from rating.publish import tenants_outbox
from rating.routes import (
    catalog,
    changes,
    charges,
    plans,
    rerates,
    simulations,
    subscriptions,
    tenants,
    trials,
)
from rating.settings import Settings
from rating.store import SCHEMA
from rating.worker import RatingStage, present

DESCRIPTION = "Tenants, plans, prices and subscriptions; rates usage into charges."
ROUTERS = [
    tenants.router,
    plans.router,
    catalog.router,
    subscriptions.router,
    changes.router,
    charges.router,
    simulations.router,
    rerates.router,
    trials.router,
]


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
            app.state.pool, app.state.clock, app.state.plans = pool, clock, PlanBook()
            running: list[Any] = []
            checks: dict[str, Callable[[], bool]] = {}
            if worker:
                stage = StageWorker(
                    settings,
                    bus=bus,
                    pool=pool,
                    schema=SCHEMA,
                    stage=RatingStage(
                        bus,
                        rate_seconds=settings.rate_seconds,
                        rate_subscriptions=settings.rate_subscriptions,
                        clock=clock,
                    ),
                    read_messages=STEP_ROLLUPS,
                    gather_seconds=GATHER_SECONDS,
                )
                outbox = tenants_outbox(pool, bus, settings.worker_id, settings.lease_seconds)
                running += [stage, outbox]
                checks["leases"] = lambda: stage.is_ready
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


cli = service_command(
    SCHEMA,
    Settings,
    build,
    description=DESCRIPTION,
    api="Serve the catalog and the charges.",
    worker="Rate usage and publish tenants.",
)

if __name__ == "__main__":
    cli()
