"""Refuses request bodies that JSON parsers disagree about, before any route sees them.

For every JSON body (hot routes that read their own are exempt): size, encoding, duplicate keys,
NaN and Infinity, nesting, NUL and lone surrogates. What passes is plain, finite JSON of bounded
depth, so routes need not think about it and the database can store every string.
"""

import json
import math
from typing import Any, Final, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import (
    BODY_TOO_LARGE,
    DUPLICATE_KEY,
    INVALID_JSON,
    INVALID_NUMBER,
    INVALID_TEXT,
    TOO_DEEP,
    UNSUPPORTED_ENCODING,
    ApiError,
    problem,
)

MAX_BODY_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class RequestGuard:
    """ASGI middleware. `exempt`: paths whose routes read the body themselves."""

    def __init__(self, app: ASGIApp, exempt: frozenset[str] = frozenset()) -> None:
        self._app, self._exempt = app, exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        try:
            check_address(scope)
            if scope["method"] not in METHODS_WITH_BODY or scope["path"] in self._exempt:
                return await self._app(scope, receive, send)
            body = await _read(scope, receive)
            if body:
                parse_strictly(body)
        except ApiError as error:
            return await problem(error.code, error.detail)(scope, receive, send)
        return await self._app(scope, _replay(body, receive), send)


def parse_strictly(body: bytes) -> Any:
    """The JSON value of `body`; raises `ApiError` for everything that is not plain JSON."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(INVALID_TEXT, f"the body is not UTF-8: {error.reason}") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_fraction,
        )
    except (ValueError, RecursionError) as error:
        raise ApiError(INVALID_JSON, f"not JSON: {error}") from None
    _check_text(value)
    return value


def check_address(scope: Scope) -> None:
    """No NUL in the path and the query; what is not UTF-8 there is replaced by the framework."""
    for part in (scope.get("raw_path") or b"", scope.get("query_string") or b""):
        if b"%00" in part or b"\0" in part:
            raise ApiError(INVALID_TEXT, "the address contains NUL")


def _check_depth(text: str) -> None:
    """Refuse deep nesting without recursing: brackets outside of strings are counted."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ApiError(TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels")
        elif character in "]}":
            depth -= 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ApiError(DUPLICATE_KEY, f"the key {twice[:100]!r} stands twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ApiError(INVALID_NUMBER, f"{name} is not a JSON number")


def _integer(digits: str) -> int:
    if len(digits) > 400:
        raise ApiError(INVALID_NUMBER, f"an integer of {len(digits)} digits")
    return int(digits)


def _fraction(digits: str) -> float:
    """As whoever parses the body again will see it: 1e400 would be infinite there."""
    value = float(digits)
    if math.isinf(value):
        raise ApiError(INVALID_NUMBER, f"the number {digits[:40]} is too large")
    return value


def _check_text(value: Any) -> None:
    """Refuse strings that PostgreSQL or UTF-8 cannot hold. Depth is bounded already."""
    if isinstance(value, str):
        if "\0" in value:
            raise ApiError(INVALID_TEXT, "a string contains NUL")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ApiError(INVALID_TEXT, "a string contains a lone surrogate") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


async def _read(scope: Scope, receive: Receive) -> bytes:
    headers = dict(scope["headers"])
    encoding = headers.get(b"content-encoding", b"identity").lower()
    if encoding != b"identity":
        raise ApiError(UNSUPPORTED_ENCODING, "this route takes bodies without content encoding")
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise ApiError(BODY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(BODY_TOO_LARGE, f"at most {MAX_BODY_BYTES} bytes")
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once more, then what follows it."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
