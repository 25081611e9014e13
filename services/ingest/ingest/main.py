"""Wiring of ingest: what is read, what it becomes, what is written.

POST /v1/events, /v1/batches -> front.Front -> intake.Intake -> usage.received       (api)
usage.received -> worker.Deduper -> ledger, nodes, dead events -> usage.events  (deduper)
throttle.decisions -> the newest revision, which nodes are told                 (api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI

from common.bus.follow import Follower
from common.command import service_command
from common.connect import connected
from common.contracts.topics import DECISIONS, EVENTS, RECEIVED
from common.service import background, create_app
from common.settings import UnsafeSettings
from common.stream.worker import StageWorker
from ingest.account import keep_metrics
from ingest.backlog import Backlog
from ingest.compaction import compact_for_ever
from ingest.decisions import NewestDecision, decode_revision
from ingest.front import Front
from ingest.intake import Intake
from ingest.ledger import Ledger
from ingest.openapi import describe
from ingest.packed.ledger import PackedLedger
from ingest.retention import forget_old
from ingest.routes import ROUTERS
from ingest.settings import IngestSettings
from ingest.store import ledger_kind
from ingest.store.plain_ledger import PlainLedger
from ingest.worker import Deduper

DESCRIPTION = "Takes usage events, answers when the log has them, and makes each count once."
SCHEMA = "ingest"
GATHER_SECONDS = 0.2
"""The deduper's cost is by the event, not by the row: larger steps make it little cheaper."""


async def open_ledger(pool: asyncpg.Pool, settings: IngestSettings) -> Ledger:
    """The ledger that the settings name. Raises `UnsafeSettings` when the database is kept with
    one that must not be left."""
    async with pool.acquire() as connection, connection.transaction():
        kind = await ledger_kind.settle(connection, settings.ledger)
    if kind != settings.ledger:
        raise UnsafeSettings(
            f"this database is kept with the {kind} ledger, and usage would count twice with the"
            f" {settings.ledger} one: set TOLLGATE_LEDGER={kind}"
        )
    if kind == "plain":
        return PlainLedger()
    return PackedLedger(memory_bytes=settings.ledger_memory_bytes)


def build(settings: IngestSettings, *, api: bool, worker: bool) -> Front:
    """The application of one process: the API, the deduper, or both."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool, bus = await stack.enter_async_context(
                connected(settings, append_seconds=settings.append_seconds)
            )
            app.state.pool, app.state.bus = pool, bus
            app.state.backlog = Backlog(bus)
            running: list[Any] = []
            checks: dict[str, Callable[[], bool]] = {}
            if worker:
                inputs = await bus.partitions(RECEIVED.name)
                ledger = await open_ledger(pool, settings)
                stage = StageWorker(
                    settings,
                    bus=bus,
                    pool=pool,
                    schema=SCHEMA,
                    stage=Deduper(
                        bus=bus,
                        ledger=ledger,
                        inputs=inputs,
                        outputs=await bus.partitions(EVENTS.name),
                    ),
                    read_messages=settings.read_messages,
                    gather_seconds=GATHER_SECONDS,
                )
                running += [
                    stage,
                    forget_old(pool, ledger, inputs=inputs, keep_days=settings.ledger_days),
                    compact_for_ever(pool, inputs=inputs),
                    keep_metrics(pool, app.state.backlog, settings.accounting_seconds),
                ]
                checks["leases"] = lambda: stage.is_ready
            if api:
                newest = app.state.newest_decision = NewestDecision()
                decisions = Follower(bus, DECISIONS, decode_revision, newest.note)
                app.state.intake = Intake(bus, settings.append_seconds)
                running.append(decisions.run())
                checks["decisions"] = lambda: decisions.is_ready
            app.state.readiness = lambda: {name: check() for name, check in checks.items()}
            await stack.enter_async_context(background(*running))
            yield

    app = create_app(
        settings,
        title="Tollgate ingest",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=ROUTERS if api else (),
    )
    if api:
        describe(app)
    return Front(
        app,
        takes_usage=api,
        in_flight_bytes=settings.in_flight_bytes,
        body_seconds=settings.body_seconds,
    )


cli = service_command(
    SCHEMA,
    IngestSettings,
    build,
    description=DESCRIPTION,
    api="Take usage and answer questions about it.",
    worker="Make usage.events from usage.received.",
    worker_name="deduper",
)

if __name__ == "__main__":
    cli()
