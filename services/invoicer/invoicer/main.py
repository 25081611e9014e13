"""Wiring of the invoicer: what is read, what it becomes, what is written.

billing.charges  -> worker.ChargeStage -> charges                     (tollgate-invoicer worker)
catalog.tenants  -> Follower, in memory: names, addresses, time zones
charges          -> runner.Runner -> invoices, under a run's lease    (tollgate-invoicer worker)
invoice_changes  -> Outbox -> billing.invoices                        (tollgate-invoicer worker)
invoices, runs, wallets -> routes                                     (tollgate-invoicer api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import FastAPI

from common.bus.follow import Follower
from common.command import service_command
from common.connect import connected
from common.contracts import wire
from common.contracts.tenants import Tenant
from common.contracts.topics import CHARGES, INVOICES, TENANTS
from common.peers import peer_client
from common.service import background, create_app
from common.stream.outbox import Outbox
from common.stream.watermark import stage_watermark
from common.stream.worker import StageWorker
from invoicer.nodes import ask_nodes
from invoicer.routes import invoices, runs, wallets
from invoicer.runner import Runner
from invoicer.settings import Settings
from invoicer.store import SCHEMA
from invoicer.store import invoices as invoice_store
from invoicer.worker import ChargeStage

DESCRIPTION = "Closes periods, issues and renders invoices."


def build(settings: Settings, *, api: bool, worker: bool) -> FastAPI:
    """The application of one process: the API, the worker, or both."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool, bus = await stack.enter_async_context(connected(settings))
            tenants = Follower(bus, TENANTS, partial(wire.decode, Tenant))

            async def ask_watermark() -> datetime | None:
                count = await bus.partitions(CHARGES.name)
                return await stage_watermark(pool, SCHEMA, CHARGES, count)

            running: list[Any] = [tenants.run()]
            checks: dict[str, Callable[[], bool]] = {"tenants": lambda: tenants.is_ready}
            if worker:
                http = await stack.enter_async_context(peer_client(settings))
                stage = StageWorker(
                    settings, bus=bus, pool=pool, schema=SCHEMA, stage=ChargeStage()
                )
                runner = Runner(
                    pool=pool,
                    settings=settings,
                    tenants=tenants.items,
                    ask_nodes=partial(ask_nodes, http, settings.ingest_url),
                    ask_watermark=ask_watermark,
                    is_catalog_read=lambda: tenants.is_ready,
                )
                outbox = Outbox(
                    pool=pool,
                    bus=bus,
                    schema=SCHEMA,
                    name=invoice_store.CHANGES,
                    topic=INVOICES,
                    fetch=invoice_store.changes,
                    worker=settings.worker_id,
                    lease_seconds=settings.lease_seconds,
                )
                running += [stage, runner, outbox]
                checks["leases"] = lambda: stage.is_ready
            app.state.pool = pool
            app.state.tenants = tenants
            app.state.ask_watermark = ask_watermark
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    return create_app(
        settings,
        title="Tollgate invoicer",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=[runs.router, invoices.router, wallets.router] if api else [],
    )


cli = service_command(
    SCHEMA,
    Settings,
    build,
    description=DESCRIPTION,
    api="Serve invoices and runs.",
    worker="Take over charges, drive runs, publish.",
)

if __name__ == "__main__":
    cli()
