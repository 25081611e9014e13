"""The hot path: nginx's `auth_request` and the apps' checks, as plain ASGI in front of FastAPI.

`GET /v1/authorize`   asks for the tenant in `X-Tollgate-Tenant` (`X-Tollgate-Action` is optional).
    nginx understands only 2xx, 401 and 403 here, so the answer is 200 or 403; the status that the
    client shall get is in `X-Tollgate-Status`, its body in `X-Tollgate-Problem` (one line of JSON),
    next to `Retry-After`, `RateLimit` and `RateLimit-Policy`.
`POST /v1/check`      `{"tenant", "action"?, "cost"?}` ->
    `{"allow", "status", "retry_after", "reason", "decision", "shadow"}`, always 200 for a decided
    question, with the same headers.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from collector import metrics
from collector.decisions.holder import Decisions
from common.auth import check as check_token
from common.enforce import PROBLEM_MEDIA_TYPE, Verdict
from common.errors import BODY_TOO_LARGE, INVALID_REQUEST, METHOD_NOT_ALLOWED, ApiError, problem
from common.guard import check_address, parse_strictly

AUTHORIZE_PATH = "/v1/authorize"
CHECK_PATH = "/v1/check"
SCOPE = "node:check"
BODY_BYTES_MAX = 64 * 1024
COST_MAX = 1_000_000_000

_NO_TENANT = {
    "type": "about:blank",
    "title": "The tenant is unknown",
    "status": 401,
    "code": "tenant_unknown",
    "detail": "the request names no tenant",
}
_ALLOWED = [(b"x-tollgate-status", b"200"), (b"content-length", b"0")]
_encoder = msgspec.json.Encoder(decimal_format="string")


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/check`. `cost` is in units, 1 for a request."""

    tenant: str
    action: str = "all"
    cost: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.tenant) <= 256 or not 1 <= len(self.action) <= 256:
            raise ValueError("tenant and action must have 1 to 256 characters")
        if not 0 <= self.cost <= COST_MAX:
            raise ValueError(f"cost must be from 0 to {COST_MAX}")


class Gate:
    """Answers the two paths itself and hands everything else to `app`."""

    def __init__(self, app: ASGIApp, decisions: Decisions, tokens: Mapping[str, list[str]]) -> None:
        self._app = app
        self._decisions = decisions
        self._tokens = tokens
        self._counts = {
            status: metrics.checks.labels(status=str(status))
            for status in (200, 401, 402, 403, 429, 503)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"]
        if path not in (AUTHORIZE_PATH, CHECK_PATH):
            return await self._app(scope, receive, send)
        try:
            headers = dict(scope["headers"])
            if self._tokens:
                token = headers.get(b"authorization", b"").decode("latin-1")
                check_token(token, self._tokens, SCOPE)
            if path == AUTHORIZE_PATH:
                return await self._authorize(scope, headers, send)
            return await self._check(scope, receive, send)
        except ApiError as error:
            answer = problem(error.code, error.detail, headers=error.headers, **error.extra)
            return await answer(scope, receive, send)

    async def _authorize(self, scope: Scope, headers: dict[bytes, bytes], send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise ApiError(METHOD_NOT_ALLOWED, "use GET")
        tenant = headers.get(b"x-tollgate-tenant", b"").decode("utf-8", "replace")
        if not tenant:
            self._counts[401].inc()
            return await _send(send, 403, _refusal_headers(401, _NO_TENANT, {}))
        action = headers.get(b"x-tollgate-action", b"all").decode("utf-8", "replace") or "all"
        verdict = self._decisions.check(tenant, action)
        self._count(verdict)
        if verdict.allowed:
            limits = verdict.headers()
            extra = _encoded(limits) + _ALLOWED if limits else _ALLOWED
            return await _send(send, 200, extra)
        await _send(
            send, 403, _refusal_headers(verdict.status, verdict.problem(), verdict.headers())
        )

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_address(scope)
        if scope["method"] != "POST":
            raise ApiError(METHOD_NOT_ALLOWED, "use POST")
        body = await _read(receive)
        parse_strictly(body)
        try:
            question = msgspec.json.decode(body, type=Question)
        except msgspec.MsgspecError as error:
            raise ApiError(INVALID_REQUEST, str(error)) from None
        verdict = self._decisions.check(question.tenant, question.action, question.cost)
        self._count(verdict)
        answer = _encoder.encode(
            {
                "allow": verdict.allowed,
                "status": verdict.status,
                "retry_after": verdict.retry_after,
                "reason": verdict.reason,
                "decision": verdict.decision,
                "shadow": verdict.shadow,
            }
        )
        headers = [
            *_encoded(verdict.headers()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
        ]
        await _send(send, 200, headers, answer)

    def _count(self, verdict: Verdict) -> None:
        self._counts.get(verdict.status, self._counts[403]).inc()


def _refusal_headers(
    status: int, document: Mapping[str, Any], limits: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """What nginx needs to answer the client: the status and the body, as header values."""
    # JSON escapes keep the value within ASCII, whatever a rule's reason holds.
    return [
        *_encoded(limits),
        (b"x-tollgate-status", b"%d" % status),
        (b"x-tollgate-problem", _ascii_json(document)),
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", b"0"),
    ]


def _ascii_json(document: Mapping[str, Any]) -> bytes:
    encoded = _encoder.encode(document)
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode()
    return "".join(c if 32 <= ord(c) < 127 else _escaped(c) for c in text).encode()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("ascii", "replace")) for name, value in headers.items()]


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(BODY_TOO_LARGE, f"at most {BODY_BYTES_MAX} bytes")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


async def _send(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
