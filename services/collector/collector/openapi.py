"""The schema of the two hot routes, which FastAPI does not see (decisions/gate.py)."""

from typing import Any, Final

from fastapi import FastAPI

from collector.decisions.gate import AUTHORIZE_PATH, CHECK_PATH, COST_MAX
from common.events.body import MEDIA_TYPES

EVENTS_PATH: Final = "/v1/events"
_NAME: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 256}
_PROBLEM: Final = {"application/problem+json": {"schema": {"type": "object"}}}
_LIMITS: Final = ("Retry-After", "RateLimit", "RateLimit-Policy")


def describe(app: FastAPI) -> None:
    """Add the hot routes, and the body of POST /v1/events, to the schema of `app`."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schema["paths"][AUTHORIZE_PATH] = {"get": _authorize()}
            schema["paths"][CHECK_PATH] = {"post": _check()}
            schema["paths"][EVENTS_PATH]["post"]["requestBody"] = _events_body()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _events_body() -> dict[str, Any]:
    return {
        "required": True,
        "description": "One CloudEvent 1.0, an array of them, or one a line; gzip or zstd.",
        "content": {media_type: {"schema": {}} for media_type in MEDIA_TYPES if media_type},
    }


def _authorize() -> dict[str, Any]:
    shown = ("X-Tollgate-Status", "X-Tollgate-Problem", *_LIMITS)
    return {
        "tags": ["decisions"],
        "summary": "May this tenant go on? For nginx's auth_request",
        "description": "nginx knows only 2xx, 401 and 403 here, so the real status and the body"
        " travel in headers and nginx maps them.",
        "parameters": [
            {"name": "X-Tollgate-Tenant", "in": "header", "required": True, "schema": _NAME},
            {"name": "X-Tollgate-Action", "in": "header", "schema": _NAME | {"default": "all"}},
        ],
        "responses": {
            "200": {"description": "Go on.", "headers": _headers("X-Tollgate-Status", *_LIMITS)},
            "401": {"description": "The bearer token is missing or unknown.", "content": _PROBLEM},
            "403": {
                "description": "Refused. `X-Tollgate-Status` is what the client shall get,"
                " `X-Tollgate-Problem` its body as one line of JSON.",
                "headers": _headers(*shown),
            },
        },
    }


def _check() -> dict[str, Any]:
    question = {
        "type": "object",
        "required": ["tenant"],
        "additionalProperties": False,
        "properties": {
            "tenant": _NAME,
            "action": _NAME | {"default": "all"},
            "cost": {"type": "integer", "minimum": 0, "maximum": COST_MAX, "default": 1},
        },
    }
    verdict = {
        "type": "object",
        "properties": {
            "allow": {"type": "boolean"},
            "status": {"type": "integer"},
            "retry_after": {"type": ["integer", "null"], "description": "Seconds."},
            "reason": {"type": "string"},
            "decision": {"type": ["object", "null"], "description": "What was decided, and why."},
            "shadow": {"type": "array", "items": {"type": "object"}},
        },
    }
    answers = {
        "400": "The body is not JSON.",
        "401": "The bearer token is missing or unknown.",
        "403": "The token lacks the scope node:check.",
        "413": "The body is too large.",
        "422": "A field is missing or has the wrong type.",
    }
    return {
        "tags": ["decisions"],
        "summary": "May this tenant go on? For apps",
        "description": "Always 200 for a question that could be decided; `allow` is the answer.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": question}}},
        "responses": {
            "200": {
                "description": "The verdict.",
                "content": {"application/json": {"schema": verdict}},
                "headers": _headers(*_LIMITS),
            }
        }
        | {status: {"description": text, "content": _PROBLEM} for status, text in answers.items()},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}} for name in names}
