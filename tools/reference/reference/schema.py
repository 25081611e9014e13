"""The JSON Schema of a catalog file, for editors, from what the services accept."""

import json
from typing import Any

from pydantic import BaseModel

from aggregator.schemas import MeterDefinition
from rating.plan_schema import PLAN_SCHEMA
from rating.schemas import SubscriptionIn, TenantIn
from throttler.schemas import RuleIn


def catalog_schema() -> str:
    """The schema as text; `docs/catalog.md` says how an editor finds it."""
    definitions: dict[str, Any] = {}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tollgate catalog",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "meters": _list(_named(_of(MeterDefinition, definitions), "slug")),
            "plans": _list(_named(_gathered(PLAN_SCHEMA, definitions), "slug")),
            "tenants": _list(_named(_of(TenantIn, definitions), "key")),
            "subscriptions": _list(_of(SubscriptionIn, definitions)),
            "rules": _list(_named(_of(RuleIn, definitions), "slug")),
        },
    }
    return json.dumps({**schema, "$defs": definitions}, indent=2, ensure_ascii=False) + "\n"


def _of(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """A model's schema."""
    return _gathered(model.model_json_schema(), definitions)


def _gathered(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema; what it refers to is gathered in `definitions`."""
    definitions.update(schema.get("$defs", {}))
    return {name: value for name, value in schema.items() if name != "$defs"}


def _named(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of a body that holds its own name."""
    return {
        **schema,
        "required": [name, *(one for one in schema.get("required", []) if one != name)],
        "properties": {name: {"type": "string"}, **schema["properties"]},
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
