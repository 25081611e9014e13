"""Wiring of the collector: what comes in, where it is kept, what leaves.

POST /v1/events, the log's tail -> spool (SQLite) -> shipper -> ingest POST /v1/batches
throttler GET /v1/decisions -> decisions (memory, SQLite) -> GET /v1/authorize, POST /v1/check
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer
from fastapi import FastAPI
from starlette.types import ASGIApp

from collector.decisions.gate import Gate
from collector.front import Front
from collector.node import Node
from collector.openapi import describe
from collector.routes import events, status
from collector.settings import Settings
from collector.spool.store import WrongNodeError
from common.service import create_app, serve

DESCRIPTION = "Takes usage on an edge node, spools it, ships it, and enforces decisions locally."
SWITCH_INTERVAL_SECONDS = 0.001
cli = typer.Typer(no_args_is_help=False, add_completion=False, help=DESCRIPTION)


def build(settings: Settings) -> ASGIApp:
    """The application of one node. Opens the spool and loads the last known decisions."""
    node = Node(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.node = node
        app.state.readiness = node.readiness
        async with node.running():
            yield

    app = create_app(
        settings,
        title="Tollgate collector",
        description=DESCRIPTION,
        lifespan=lifespan,
        routers=[events.router, status.router],
        unguarded=frozenset({events.PATH}),
    )
    describe(app)
    return Gate(Front(app, node), node.decisions, settings.auth_tokens)


@cli.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a sub-command: `run`."""
    if context.invoked_subcommand is None:
        run()


@cli.command()
def run() -> None:
    """Run the edge node's daemon."""
    # The spool's writer must not wait long for the interpreter while the event loop is busy.
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    settings = Settings()
    try:
        app = build(settings)
    except WrongNodeError as error:
        raise SystemExit(str(error)) from None
    serve(app, settings, "collector")


if __name__ == "__main__":
    cli()
