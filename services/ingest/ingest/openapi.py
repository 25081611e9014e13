"""The schema of the two hot routes, which FastAPI does not see."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from common.events import REASONS
from common.events.body import MEDIA_TYPES
from ingest.front import BATCHES_PATH, EVENTS_PATH
from ingest.schemas import BatchAnswer, BatchBody, EventsAnswer

_REF = "#/components/schemas/{model}"
_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0. Identity is (source, id) within the UTC day of time.",
    "required": ["id", "source", "type", "subject"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string", "minLength": 1, "maxLength": 256},
        "source": {"type": "string", "minLength": 1, "maxLength": 256},
        "type": {"type": "string", "minLength": 1, "maxLength": 256},
        "subject": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "description": "The tenant's key.",
        },
        "time": {
            "type": "string",
            "format": "date-time",
            "description": "Up to 35 days back and 5 minutes ahead; without it, the receipt.",
        },
        "data": {"description": "What meters read. Numbers are exact decimals."},
    },
}
_PROBLEM = {"application/problem+json": {"schema": {"type": "object"}}}


def describe(app: FastAPI) -> None:
    """Add the hot routes to the schema of `app`."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            models = [(m, "serialization") for m in (EventsAnswer, BatchAnswer, BatchBody)]
            _, definitions = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
            schema.setdefault("components", {}).setdefault("schemas", {}).update(
                definitions["$defs"] | {"CloudEvent": _EVENT}
            )
            schema["paths"].setdefault(EVENTS_PATH, {})["post"] = _events()
            schema["paths"][BATCHES_PATH] = {"post": _batches()}
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _events() -> dict[str, Any]:
    event = {"$ref": _REF.format(model="CloudEvent")}
    array = {"type": "array", "items": event}
    by_shape: dict[str, Any] = {
        "one": event,
        "array": array,
        "lines": {"type": "string", "description": "One event a line."},
        "any": {"oneOf": [event, array]},
    }
    reasons = "\n".join(f"- `{code}`: {meaning}" for code, meaning in REASONS.items())
    return _operation(
        "Send usage events",
        "One event, an array, or one a line; identity, gzip or zstd; 32 MiB decoded."
        " A 200 comes when all elements are in the log; bad ones are parked and listed:\n\n"
        + reasons,
        {
            media_type: {"schema": by_shape[shape]}
            for media_type, shape in MEDIA_TYPES.items()
            if media_type
        },
        "EventsAnswer",
    )


def _batches() -> dict[str, Any]:
    schema = {"$ref": _REF.format(model="BatchBody")}
    return _operation(
        "Send a node's batch",
        "Events in the order of the node's sequence, which begins at 1 in each epoch. A batch"
        " that overlaps an earlier one adds what is new; missing numbers are kept as gaps.",
        {"application/json": {"schema": schema}},
        "BatchAnswer",
    )


def _operation(
    summary: str, description: str, content: dict[str, Any], answer: str
) -> dict[str, Any]:
    answers = {
        "400": "The body cannot be read; nothing was taken.",
        "401": "The bearer token is missing or unknown.",
        "403": "The token lacks the scope events:write.",
        "413": "The body, or what it inflates to, is too large; nothing was taken.",
        "415": "Content type or encoding is not supported; nothing was taken.",
        "422": "Every element was received and parked; `rejected` says why.",
        "503": "Try again after Retry-After, with the same ids: some of it may have been taken.",
    }
    ok = {"application/json": {"schema": {"$ref": _REF.format(model=answer)}}}
    return {
        "tags": ["events"],
        "summary": summary,
        "description": description,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "In the log.", "content": ok}}
        | {status: {"description": text, "content": _PROBLEM} for status, text in answers.items()},
    }
