"""The small application behind Tollgate's ASGI middleware, with an access log of its own.

The log is written around everything, by code that knows nothing of Tollgate: what it says is
what the demo compares with. Only the duration is measured inside, by the application, because
two stopwatches never agree.
"""

import json
import os
import time
from collections.abc import MutableMapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.load import HEADER, TENANTS
from demo.upstream import app as application
from tollgate.asgi import Observed, Tollgate, by_header

TENANT_BY_KEY = {tenant.api_key: tenant.key for tenant in TENANTS}
DURATION = "demo.request_time"
"""Where in the scope the application leaves its duration, in seconds."""


async def timed(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """The application, with its duration in whole microseconds noted in the scope."""
    began_ns = time.monotonic_ns()
    await application(scope, receive, send)
    scope[DURATION] = Decimal((time.monotonic_ns() - began_ns) // 1_000).scaleb(-6)


def describe(scope: Any, observed: Observed) -> dict[str, Any]:
    """The event's data."""
    return {
        "status": observed.status,
        "bytes": observed.body_bytes,
        "request_time": scope.get(DURATION, Decimal(0)),
    }


class AccessLog:
    """One JSON line a request, in the file when the response is over."""

    def __init__(self, app: Any, path: Path) -> None:
        self._app = app
        self._file = path.open("a", buffering=1, encoding="utf-8")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, size = 500, 0

        async def note(message: MutableMapping[str, Any]) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._write(scope, status, size)

    def _write(self, scope: MutableMapping[str, Any], status: int, size: int) -> None:
        key = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
        tenant = json.dumps(TENANT_BY_KEY.get(key, ""))
        seconds = scope.get(DURATION, Decimal("0.000000"))
        self._file.write(
            f'{{"msec":{time.time():.3f},"tenant":{tenant},"status":{status},'
            f'"bytes":{size},"request_time":{seconds}}}\n'
        )


def build() -> AccessLog:
    """The application as uvicorn runs it (--factory)."""
    guarded = Tollgate(timed, tenant=by_header(HEADER, TENANT_BY_KEY), describe=describe)
    return AccessLog(guarded, Path(os.environ["DEMO_ACCESS_LOG"]))
