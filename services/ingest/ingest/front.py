"""The two hot routes, as plain ASGI in front of the application.

FastAPI costs about 150 microseconds a request; with it in front, one process takes a quarter of
the requests. The schema of these routes is in openapi.py.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common import auth, telemetry
from common.errors import (
    BODY_TOO_LARGE,
    CODES,
    INTERNAL,
    METHOD_NOT_ALLOWED,
    UNSUPPORTED_MEDIA_TYPE,
    ApiError,
    problem,
)
from common.events import BodyError, Rejection, decompress, elements, limits
from ingest import metrics
from ingest.batches import parse_batch
from ingest.decisions import NewestDecision
from ingest.errors import ALL_REJECTED, BODY_TOO_SLOW, OVERLOADED
from ingest.intake import Intake

log = logging.getLogger(__name__)

EVENTS_PATH: Final = "/v1/events"
BATCHES_PATH: Final = "/v1/batches"
SCOPE_NEEDED: Final = "events:write"
_THREAD_BYTES: Final = 256 * 1024
"""Compressed bodies beyond this are inflated beside the event loop."""

Headers = dict[bytes, bytes]
_requests: Final = lru_cache(maxsize=256)(metrics.REQUESTS.labels)


class Disconnected(Exception):
    """The client went away before its body was complete; nobody waits for an answer."""


class Taken:
    """The answer 200 with `body` as JSON, without the cost of a general response."""

    status_code = 200

    def __init__(self, body: object) -> None:
        self._body = msgspec.json.encode(body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-length", b"%d" % len(self._body)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


Answer = Response | Taken
Handler = Callable[[bytes, Headers], Awaitable[Answer]]


class Front:
    """POST /v1/events and POST /v1/batches; everything else goes to `app`.

    `app.state.intake` and `app.state.newest_decision` are set by its lifespan.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        takes_usage: bool = True,
        in_flight_bytes: int,
        body_seconds: float,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._app = app
        self._in_flight_max, self._body_seconds = in_flight_bytes, body_seconds
        self._clock_ms = clock_ms
        self._in_flight = 0
        metrics.IN_FLIGHT_BYTES.set_function(lambda: self._in_flight)
        self._routes: dict[str, Handler] = {}
        if takes_usage:
            self._routes = {EVENTS_PATH: self._events, BATCHES_PATH: self._batches}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if handler is None or (scope["method"] != "POST" and scope["path"] == EVENTS_PATH):
            return await self._app(scope, receive, send)
        headers: Headers = dict(scope["headers"])
        response: Answer
        try:
            if scope["method"] != "POST":
                raise ApiError(METHOD_NOT_ALLOWED, "only POST", headers={"Allow": "POST"})
            response = await self._answer(handler, headers, receive)
        except Disconnected:
            return None
        except BodyError as error:
            response = problem(CODES[error.code, error.status], str(error))
        except ApiError as error:
            retry = {"Retry-After": str(random.randint(1, 5))} if error.code.status == 503 else {}
            known = retry | (error.headers or {})
            response = problem(error.code, error.detail, headers=known, **error.extra)
        except Exception:
            log.exception("%s failed", scope["path"])
            response = problem(INTERNAL, "the fault has been logged")
        _requests(scope["path"], str(response.status_code)).inc()
        return await response(scope, receive, send)

    async def _answer(
        self,
        handler: Handler,
        headers: Headers,
        receive: Receive,
    ) -> Answer:
        bearer = headers.get(b"authorization", b"").decode("latin-1") or None
        auth.check(bearer, self._app.state.settings.auth_tokens, SCOPE_NEEDED)
        declared = headers.get(b"content-length", b"0")
        size = int(declared) if declared.isdigit() else 0
        if size > limits.BODY_BYTES:
            raise ApiError(BODY_TOO_LARGE, f"at most {limits.BODY_BYTES} bytes")
        if self._in_flight and self._in_flight + size > self._in_flight_max:
            raise ApiError(OVERLOADED, f"{self._in_flight} bytes are in flight")
        held = _Held(self)
        try:
            body = await self._read(receive, held)
            encoding = headers.get(b"content-encoding", b"").decode("latin-1") or None
            if encoding is not None and len(body) > _THREAD_BYTES:
                body = await asyncio.to_thread(decompress, body, encoding)
            else:
                body = decompress(body, encoding)
            held.add(len(body))
            parent = headers.get(b"traceparent", b"").decode("latin-1")
            with telemetry.span("ingest.receive", parent=parent):
                return await handler(body, headers)
        finally:
            held.release()

    async def _read(self, receive: Receive, held: "_Held") -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    held.add(len(chunk))
                    if size > limits.BODY_BYTES:
                        raise ApiError(BODY_TOO_LARGE, f"at most {limits.BODY_BYTES} bytes")
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError:
            raise ApiError(BODY_TOO_SLOW, f"not there after {self._body_seconds} s") from None

    async def _events(self, body: bytes, headers: Headers) -> Answer:
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        found = elements(body, content_type)
        intake: Intake = self._app.state.intake
        acceptance = await intake.take(found, self._clock_ms())
        rejected = _listed(acceptance.rejections)
        if found and not acceptance.accepted:
            return problem(
                ALL_REJECTED, f"none of {len(found)} elements was taken", rejected=rejected
            )
        return Taken({"accepted": acceptance.accepted, "rejected": rejected})

    async def _batches(self, body: bytes, headers: Headers) -> Answer:
        now_ms = self._clock_ms()
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type not in (b"", b"application/json"):
            raise ApiError(UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
        frame, found = parse_batch(body)
        if frame.sealed_through_ms is not None:
            # A node whose clock is ahead cannot vouch for what it has not seen yet.
            sealed = max(0, min(frame.sealed_through_ms, now_ms))
            frame = msgspec.structs.replace(frame, sealed_through_ms=sealed)
        acceptance = await self._app.state.intake.take(found, now_ms, frame)
        newest: NewestDecision = self._app.state.newest_decision
        return Taken(
            {
                "next_seq": frame.first_seq + len(found),
                "decisions_revision": newest.revision,
                "rejected": _listed(acceptance.rejections),
            }
        )

    def hold(self, size: int) -> None:
        """Count `size` more bytes (less, if negative) as being in flight."""
        self._in_flight += size


class _Held:
    """The bytes that one request holds."""

    def __init__(self, front: Front) -> None:
        self._front, self._size = front, 0

    def add(self, size: int) -> None:
        self._size += size
        self._front.hold(size)

    def release(self) -> None:
        self._front.hold(-self._size)


def _listed(rejections: list[Rejection]) -> list[dict[str, Any]]:
    return [
        {"index": r.index, "id": r.id, "code": r.code, "message": r.message} for r in rejections
    ]
