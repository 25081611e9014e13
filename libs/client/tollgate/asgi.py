"""ASGI middleware: asks whether a tenant may go on, and meters what it used.

    app = Tollgate(app, tenant=by_header("x-api-key", {"k1": "acme"}))

One event an HTTP request, sent in the background to the collector on this node. A refused
request is answered here (429, 402, 403, 503 as problem+json), does not reach the application and
is not metered. When events cannot be handed on and the buffer is full, requests wait, and then
get 503: nothing is used that could not be counted. A collector keeps events on disk; what is
still in this process's buffer dies with a SIGKILL, so keep `linger` short.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from common.enforce import PROBLEM_MEDIA_TYPE, Verdict
from common.ids import uuid7
from tollgate.client import AsyncClient
from tollgate.enforcement import Gate
from tollgate.event import Event, default_source
from tollgate.metering import Sender

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
TenantOf = Callable[[Scope], str | None]

NO_ROOM = Verdict(
    allowed=False, status=503, retry_after=1, reason="usage cannot be metered at the moment"
)


@dataclass(frozen=True, slots=True)
class Observed:
    """One answered request.

    status      what was answered; 500 when the application failed before answering.
    body_bytes  bytes of the response's body.
    elapsed_ns  from the request's arrival to the end of the response.
    ended_at    the event's time.
    """

    status: int
    body_bytes: int
    elapsed_ns: int
    ended_at: datetime


Describe = Callable[[Scope, Observed], Mapping[str, Any] | None]


def by_header(name: str, keys: Mapping[str, str] | None = None) -> TenantOf:
    """The tenant by a request header: through `keys` (API key to tenant), or the value itself."""
    wanted = name.lower().encode("ascii")

    def tenant(scope: Scope) -> str | None:
        for header, value in scope["headers"]:
            if header == wanted:
                text: str = value.decode("latin-1").strip()
                return keys.get(text) if keys is not None else text or None
        return None

    return tenant


def describe_request(scope: Scope, observed: Observed) -> Mapping[str, Any]:
    """The event's data, named as in the collector's nginx events; seconds to the millisecond."""
    return {
        "status": observed.status,
        "bytes": observed.body_bytes,
        "request_time": Decimal(observed.elapsed_ns // 1_000_000).scaleb(-3),
        "method": scope["method"],
        "uri": scope["path"],
    }


class Tollgate:
    """The middleware.

    tenant     whose request this is; None: nobody's, it passes without check and event.
    describe   the event's data; None: this request is not metered.
    client     where to send and whom to follow; addresses by the environment unless given.
    meter, enforce   either can be turned off.
    full_wait_seconds  how long a request waits for room in the buffer.
    start_wait_seconds how long the start waits for the first decisions.
    """

    def __init__(
        self,
        app: App,
        *,
        tenant: TenantOf,
        describe: Describe = describe_request,
        client: AsyncClient | None = None,
        event_type: str = "http.request",
        source: str | None = None,
        meter: bool = True,
        enforce: bool = True,
        sender: Sender | None = None,
        gate: Gate | None = None,
        full_wait_seconds: float = 5,
        start_wait_seconds: float = 2,
        flush_seconds: float = 10,
    ) -> None:
        self._app, self._tenant, self._describe = app, tenant, describe
        self._client = client or AsyncClient()
        self._type = event_type
        self._source = source or default_source()
        self._full_wait_seconds = full_wait_seconds
        self._start_wait_seconds, self._flush_seconds = start_wait_seconds, flush_seconds
        self.sender = (sender or Sender(self._client)) if meter else None
        self.gate = (gate or Gate(self._client)) if enforce else None
        # Ids are unique beyond this process: a random part, then a count.
        self._run, self._count = uuid7().hex, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        if scope["type"] != "http" or (tenant := self._tenant(scope)) is None:
            return await self._app(scope, receive, send)
        self._start()
        verdict = self.gate.check(tenant) if self.gate is not None else None
        if verdict is not None and not verdict.allowed:
            return await _refuse(verdict, send)
        if self.sender is not None and not await self.sender.reserve(self._full_wait_seconds):
            return await _refuse(NO_ROOM, send)
        headers = verdict.headers() if verdict is not None else {}
        await self._metered(tenant, headers, scope, receive, send)

    async def close(self) -> None:
        """Flush and stop; the lifespan does it where the server speaks lifespan."""
        if self.gate is not None:
            await self.gate.close()
        if self.sender is not None:
            await self.sender.close(self._flush_seconds)
        await self._client.close()

    def _start(self) -> None:
        if self.sender is not None:
            self.sender.start()
        if self.gate is not None:
            self.gate.start()

    async def _metered(
        self, tenant: str, headers: Mapping[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        began_ns = time.monotonic_ns()
        status, body_bytes = 500, 0

        async def count(message: Message) -> None:
            nonlocal status, body_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                if headers:
                    message = {**message, "headers": [*message.get("headers", []), *_raw(headers)]}
            elif message["type"] == "http.response.body":
                body_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, count)
        finally:
            # Also when the application fails or the client leaves: the work was done.
            elapsed_ns = time.monotonic_ns() - began_ns
            self._record(tenant, scope, Observed(status, body_bytes, elapsed_ns, datetime.now(UTC)))

    def _record(self, tenant: str, scope: Scope, observed: Observed) -> None:
        if self.sender is None:
            return
        data = self._describe(scope, observed)
        if data is None:
            self.sender.release()
            return
        self._count += 1
        self.sender.put(
            Event(
                id=f"{self._run}-{self._count}",
                source=self._source,
                type=self._type,
                subject=tenant,
                time=observed.ended_at.isoformat().replace("+00:00", "Z"),
                data=data,
            )
        )

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def around(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._start()
                if self.gate is not None:
                    await self.gate.ready(self._start_wait_seconds)
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self.close()
            await send(message)

        await self._app(scope, receive, around)


async def _refuse(verdict: Verdict, send: Send) -> None:
    body = msgspec.json.encode(verdict.problem())
    headers = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **verdict.headers(),
    }
    await send({"type": "http.response.start", "status": verdict.status, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": body})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
