"""Wiring of ingest: what is read, what it becomes, what is written.

POST /v1/events, /v1/batches -> front.Front -> intake.Intake -> usage.received       (api)
usage.received -> worker.Deduper -> ledger, nodes, dead events -> usage.events  (deduper)
throttle.decisions -> the newest revision, which nodes are told                 (api)
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import typer
from fastapi import FastAPI

from common.bus.follow import Follower
from common.bus.group_offsets import GroupOffsets
from common.bus.kafka import KafkaBus
from common.contracts.topics import DECISIONS, EVENTS, RECEIVED
from common.db import create_pool
from common.migrations import migrate as run_migrations
from common.service import background, create_app, serve
from common.stream import PostgresProgress, Processor
from ingest.account import keep_metrics
from ingest.backlog import Backlog
from ingest.decisions import NewestDecision, decode_revision
from ingest.front import Front
from ingest.intake import Intake
from ingest.openapi import describe
from ingest.retention import forget_old
from ingest.routes import ROUTERS
from ingest.settings import IngestSettings
from ingest.store.plain_ledger import PlainLedger
from ingest.worker import Deduper

DESCRIPTION = "Takes usage events, answers when the log has them, and makes each count once."
SCHEMA = "ingest"
GROUP = "tollgate-deduper"
cli = typer.Typer(no_args_is_help=False, add_completion=False, help=DESCRIPTION)


def build(settings: IngestSettings, *, api: bool, deduper: bool) -> Front:
    """The application of one process: the API, the deduper, or both."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            pool = await create_pool(settings.database_url)
            stack.push_async_callback(pool.close)
            bus = KafkaBus(
                settings.kafka,
                prefix=settings.topic_prefix,
                append_seconds=settings.append_seconds,
            )
            await bus.start()
            stack.push_async_callback(bus.stop)
            app.state.pool, app.state.bus = pool, bus
            app.state.backlog = Backlog(bus)
            running: list[Any] = []
            checks: dict[str, Callable[[], bool]] = {}
            if deduper:
                inputs = await bus.partitions(RECEIVED.name)
                ledger = PlainLedger()
                mirror = GroupOffsets(settings.kafka, GROUP, prefix=settings.topic_prefix)
                processor = Processor(
                    bus=bus,
                    progress=PostgresProgress(pool, SCHEMA, settings.database_url),
                    stage=Deduper(
                        bus=bus,
                        ledger=ledger,
                        inputs=inputs,
                        outputs=await bus.partitions(EVENTS.name),
                    ),
                    worker=settings.worker_id,
                    lease_seconds=settings.lease_seconds,
                    read_messages=settings.read_messages,
                    on_position=mirror.note,
                )
                running += [
                    processor,
                    mirror,
                    forget_old(pool, ledger, inputs=inputs, keep_days=settings.ledger_days),
                    keep_metrics(pool, app.state.backlog, settings.accounting_seconds),
                ]
                checks["leases"] = lambda: processor.is_ready
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


@cli.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a sub-command: `all`."""
    if context.invoked_subcommand is None:
        run_all()


@cli.command()
def migrate() -> None:
    """Create or update the schema, as its owner."""
    settings = IngestSettings()
    run_migrations(
        SCHEMA, database_url=settings.database_url, migrations_url=settings.migrations_url
    )


@cli.command()
def api() -> None:
    """Take usage and answer questions about it."""
    settings = IngestSettings()
    serve(build(settings, api=True, deduper=False), settings, "ingest-api")


@cli.command()
def deduper() -> None:
    """Make usage.events from usage.received; HTTP for health and metrics only."""
    settings = IngestSettings()
    serve(build(settings, api=False, deduper=True), settings, "ingest-deduper")


@cli.command(name="all")
def run_all() -> None:
    """API and deduper in one process."""
    settings = IngestSettings()
    serve(build(settings, api=True, deduper=True), settings, "ingest")


if __name__ == "__main__":
    cli()
