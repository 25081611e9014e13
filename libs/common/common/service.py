"""The skeleton of every service: an application with errors, health, metrics and a clean stop."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from common import telemetry
from common.bus.types import BusError
from common.errors import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAVAILABLE,
    VALUE_OUT_OF_RANGE,
    ApiError,
    ErrorCode,
    answer_api_error,
    problem,
)
from common.guard import RequestGuard
from common.settings import ServiceSettings
from common.validation import answer_validation

log = logging.getLogger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Readiness = Callable[[], dict[str, bool]]
"""Names what must hold before the process should get work, and whether it does."""


def create_app(
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    lifespan: Lifespan,
    routers: Iterable[APIRouter] = (),
    unguarded: frozenset[str] = frozenset(),
) -> FastAPI:
    """The application of a service.

    The lifespan sets `app.state` and may set `app.state.readiness` (a `Readiness`). `unguarded`:
    paths that read their own request bodies.
    """
    app = FastAPI(title=title, description=description, version="1", lifespan=lifespan)
    app.state.settings = settings
    app.state.readiness = dict
    app.add_exception_handler(ApiError, answer_api_error)
    app.add_exception_handler(RequestValidationError, answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(asyncpg.DataError, _answer_data)
    for away in (
        BusError,
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.InterfaceError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.DeadlockDetectedError,
        asyncpg.QueryCanceledError,
        TimeoutError,
    ):
        app.add_exception_handler(away, _answer_away)
    app.add_exception_handler(Exception, _answer_fault)
    app.include_router(_operations())
    for router in routers:
        app.include_router(router)
    app.add_middleware(RequestGuard, exempt=unguarded)
    return app


def serve(app: ASGIApp, settings: ServiceSettings, service: str) -> None:
    """Run until SIGTERM or SIGINT: finish what is under way, release leases, exit."""
    telemetry.setup(service, settings.log_level)
    collect_garbage_seldom()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
        server_header=False,
    )


def collect_garbage_seldom() -> None:
    """Let the cyclic collector pass over what is loaded by now, and look at the rest less often.

    A step or a body makes tens of thousands of tuples at once, which hold no cycles and go again
    with it; by default they are all looked at every 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 50)


@asynccontextmanager
async def background(*workers: Any) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Run workers (objects with `run()` and `stop()`, or bare coroutines) beside the application.

    A worker that ends by itself with an error ends the process: a service that has stopped doing
    its work must not look alive.
    """
    tasks = []
    for worker in workers:
        running = worker.run() if hasattr(worker, "run") else worker
        task = asyncio.create_task(running)
        task.add_done_callback(_end_process_on_failure)
        tasks.append(task)
    try:
        yield tasks
    finally:
        for worker in workers:
            if hasattr(worker, "stop"):
                worker.stop()
        stoppable = [t for t, w in zip(tasks, workers, strict=True) if hasattr(w, "stop")]
        if stoppable:
            await asyncio.wait(stoppable, timeout=30)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_process_on_failure(task: "asyncio.Task[None]") -> None:
    if task.cancelled() or task.exception() is None:
        return
    log.critical("a background worker failed; ending the process", exc_info=task.exception())
    signal.raise_signal(signal.SIGTERM)


def _operations() -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="The process runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="The process can do its work")
    async def readyz(request: Request) -> Response:
        checks = request.app.state.readiness()
        ready = all(checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    @router.get("/metrics", summary="Prometheus metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _answer_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known: dict[int, ErrorCode] = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}
    code = known.get(error.status_code, ErrorCode("http_error", error.status_code, error.detail))
    return problem(code, str(error.detail), headers=dict(error.headers or {}))


async def _answer_data(_: Request, error: Exception) -> Response:
    return problem(VALUE_OUT_OF_RANGE, str(error).splitlines()[0])


async def _answer_away(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %r", request.method, request.url.path, error)
    return problem(UNAVAILABLE, f"{type(error).__name__}: try again")


async def _answer_fault(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(INTERNAL, "the fault has been logged")
