"""Who may call what: every route names the scope it needs through `scope`."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from common.errors import FORBIDDEN, UNAUTHENTICATED, ApiError
from common.parameters import refuse_unknown

SCOPES: Final[dict[str, str]] = {
    "events:write": "Send usage events.",
    "events:read": "See what became of an event, dead events, nodes and the accounting.",
    "events:manage": "Replay and discard dead events.",
    "meters:write": "Define meters.",
    "usage:read": "Read meters, usage and watermarks.",
    "catalog:write": "Define tenants, plans and subscriptions.",
    "catalog:read": "Read tenants, plans and subscriptions.",
    "charges:read": "Read charges.",
    "invoices:read": "Read invoices.",
    "invoices:run": "Start billing runs.",
    "wallets:write": "Move money into and out of the wallets of tenants.",
    "wallets:read": "Read wallets.",
    "rules:write": "Define throttle rules.",
    "rules:read": "Read throttle rules.",
    "decisions:read": "Read and follow throttle decisions.",
    "node:check": "Ask a collector whether a tenant may go on.",
    "node:read": "See the state of a collector.",
}
"""Every scope there is, with what it allows."""


def check(authorization: str | None, tokens: Mapping[str, list[str]], needed: str) -> None:
    """Raise `ApiError` unless the Authorization header holds a token with the scope.

    `tokens`: SHA-256 of a token (hex) to its scopes; empty turns authentication off (settings
    allow that on loopback only).
    """
    if not tokens:
        return
    scheme, _, token = (authorization or "").partition(" ")
    digest = sha256(token.strip().encode()).hexdigest()
    known = next(
        (held for hexed, held in tokens.items() if compare_digest(hexed.lower(), digest)), None
    )
    if scheme.lower() != "bearer" or known is None:
        raise ApiError(
            UNAUTHENTICATED,
            "send Authorization: Bearer <token>",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if needed not in known and "*" not in known:
        raise ApiError(FORBIDDEN, f"the token lacks the scope {needed}")


def scope(name: str) -> Any:
    """Dependency of a route that needs the scope `name`. Every route that is not an operator's has
    one, so query parameters are looked at here too, after the caller is known."""
    if name not in SCOPES:
        raise ValueError(f"scope {name} is not declared in common.auth.SCOPES")
    return Depends(_checker(name))


def _checker(name: str) -> Callable[[HTTPConnection], Awaitable[None]]:
    # A coroutine: FastAPI would run a plain function in a thread, for each request.
    async def check_scope(connection: HTTPConnection) -> None:
        settings = connection.app.state.settings
        check(connection.headers.get("authorization"), settings.auth_tokens, name)
        if connection.scope["query_string"]:
            refuse_unknown(connection.scope)

    return check_scope
