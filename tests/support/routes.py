"""Routes without what a service does behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

from common.service import create_app
from common.settings import ServiceSettings


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def app_of(router: APIRouter, settings: ServiceSettings | None = None) -> FastAPI:
    """A service that has only these routes."""
    return create_app(
        settings or ServiceSettings(),
        title="t",
        description="t",
        lifespan=_nothing,
        routers=[router],
    )


async def post(app: FastAPI, path: str, **sent: Any) -> httpx.Response:
    """Send a body within the process."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post(path, **sent)
