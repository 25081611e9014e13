"""An ASGI application behind a real socket, for what an in-process transport cannot show:
streaming, disconnects, time-outs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Run `app` (with its lifespan) on a free loopback port; yields its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # without its signal handlers
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the application did not start; see the log")
            await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task
