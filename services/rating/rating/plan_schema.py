"""The JSON Schema of a plan, for editors: what fields there are and what they take.

It knows shapes; what belongs together (tiers that ascend, names that exist) is checked when the
plan is read.
"""

from typing import Any, Final

from rating.parts.interval import ALIGNMENTS, MAX_COUNT, MONTHS
from rating.parts.names import SLUG
from rating.parts.price import BILLED
from rating.prices.matrix import MAX_CELLS, MAX_DIMENSIONS

Schema = dict[str, Any]

DECIMAL: Final[Schema] = {
    "description": "A decimal that is not negative, as a text.",
    "type": ["string", "integer"],
    "pattern": r"^[0-9]{1,20}(\.[0-9]{1,18})?$",
    "minimum": 0,
}
_SLUG: Final[Schema] = {"type": "string", "pattern": f"^{SLUG.pattern}$"}
_SLUGS: Final[Schema] = {"type": "array", "items": _SLUG, "minItems": 1, "uniqueItems": True}
_TEXT: Final[Schema] = {"type": "string", "maxLength": 200}
_TIME: Final[Schema] = {"type": "string", "description": "RFC 3339, such as 2026-11-01T00:00:00Z."}
_CURRENCY: Final[Schema] = {"type": "string", "pattern": "^[A-Z]{3}$"}
_PERIODS: Final[Schema] = {"type": ["integer", "string"], "minimum": 1}


def _object(required: list[str], properties: Schema, **more: Any) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        **more,
    }


def _list(items: Schema, *, at_least: int = 0, at_most: int = 100) -> Schema:
    return {"type": "array", "items": items, "minItems": at_least, "maxItems": at_most}


def _tiers(amount: str) -> Schema:
    tier = {
        "up_to": {"anyOf": [DECIMAL, {"type": "null"}]},
        amount: DECIMAL,
        "flat_amount": DECIMAL,
    }
    return {"type": "array", "items": _object([], tier), "minItems": 1}


_DIMENSION: Final[Schema] = {
    "description": "A value of a dimension; it is compared as a text.",
    "type": ["string", "number", "boolean", "null"],
}
_CELL: Final = _object(
    ["group", "unit_amount"],
    {
        "group": {"type": "object", "additionalProperties": _DIMENSION},
        "unit_amount": DECIMAL,
    },
)

MODELS: Final[dict[str, tuple[list[str], Schema]]] = {
    "flat": (["amount"], {"amount": DECIMAL}),
    "unit": (["unit_amount"], {"unit_amount": DECIMAL}),
    "graduated": (["tiers"], {"tiers": _tiers("unit_amount")}),
    "volume": (["tiers"], {"tiers": _tiers("unit_amount")}),
    "package": (["package_size", "amount"], {"package_size": DECIMAL, "amount": DECIMAL}),
    "percentage": (
        ["rate"],
        {
            "rate": DECIMAL,
            "fixed_amount": DECIMAL,
            "free_events": {"type": ["integer", "string"]},
            "free_amount": DECIMAL,
            "min_per_event": DECIMAL,
            "max_per_event": DECIMAL,
        },
    ),
    "graduated_percentage": (["tiers"], {"tiers": _tiers("rate")}),
    "matrix": (
        ["dimensions", "default", "cells"],
        {
            "dimensions": _list(_TEXT, at_least=1, at_most=MAX_DIMENSIONS),
            "default": DECIMAL,
            "cells": _list(_CELL, at_least=1, at_most=MAX_CELLS),
        },
    ),
    "dynamic": (["multiplier"], {"multiplier": DECIMAL}),
    "time_weighted": (
        ["unit_amount", "per"],
        {"unit_amount": DECIMAL, "per": {"enum": ["hour", "month"]}},
    ),
}
"""By model: the fields that it must have, and all of its own."""

_MODIFIERS: Final[Schema] = {
    "conversion": _object(
        [],
        {
            "multiply": DECIMAL,
            "divide": DECIMAL,
            "rounding": {"enum": ["none", "ceiling", "floor", "half_up"]},
            "precision": {"type": ["integer", "string"]},
        },
    ),
    "included": DECIMAL,
    "rollover": _object([], {"cap": DECIMAL}),
    "discount": _object([], {"percent": DECIMAL, "amount": DECIMAL, "quantity": DECIMAL}),
    "maximum": DECIMAL,
    "minimum": DECIMAL,
    "minimum_quantity": DECIMAL,
}

_OF_THE_PLAN: Final[Schema] = {
    "slug": _SLUG,
    "meter": {"type": ["string", "null"], "description": "Whose usage is priced."},
    "quantity": {**_SLUG, "description": "Which quantity of the subscription, such as seats."},
    "default_quantity": DECIMAL,
    "description": _TEXT,
    "billed": {"enum": list(BILLED)},
    "from": _TIME,
    "until": _TIME,
}


def _price(model: str) -> Schema:
    required, own = MODELS[model]
    fields = {**_OF_THE_PLAN, "model": {"const": model}, **own, **_MODIFIERS}
    return _object(["slug", "model", *required], fields, title=model)


_PRICES: Final[Schema] = _list({"oneOf": [_price(model) for model in MODELS]}, at_least=1)
_ONE_OFFS: Final[Schema] = _list(
    _object(["slug", "amount"], {"slug": _SLUG, "amount": DECIMAL, "description": _TEXT})
)
_COMMITMENT: Final[Schema] = _object(
    ["slug", "amount"],
    {"slug": _SLUG, "amount": DECIMAL, "of": _SLUGS, "description": _TEXT},
)
_CREDITS: Final[Schema] = _object(
    ["slug", "amount", "price"],
    {
        "slug": _SLUG,
        "amount": DECIMAL,
        "price": DECIMAL,
        "every": {"enum": ["period", "once"]},
        "expires_after": _PERIODS,
        "of": _SLUGS,
        "description": _TEXT,
    },
)
_COUPON: Final[Schema] = _object(
    ["slug"],
    {"slug": _SLUG, "percent": DECIMAL, "amount": DECIMAL, "periods": _PERIODS, "of": _SLUGS},
    oneOf=[{"required": ["percent"]}, {"required": ["amount"]}],
)
_ADD_ON: Final[Schema] = _object(
    ["slug", "prices"],
    {"slug": _SLUG, "name": _TEXT, "prices": _PRICES, "one_offs": _ONE_OFFS},
)
_INTERVAL: Final[Schema] = {
    "anyOf": [
        {"enum": list(MONTHS)},
        *(
            _object([unit], {unit: {"type": "integer", "minimum": 1, "maximum": most}})
            for unit, most in MAX_COUNT.items()
        ),
    ]
}

PLAN_SCHEMA: Final[Schema] = _object(
    ["name", "currency", "prices"],
    {
        "slug": _SLUG,
        "name": {**_TEXT, "minLength": 1},
        "currency": _CURRENCY,
        "currencies": {
            "description": "By further currency and part: its fields in that currency.",
            "type": "object",
            "propertyNames": _CURRENCY,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "object"},
            },
        },
        "interval": _INTERVAL,
        "alignment": {"enum": list(ALIGNMENTS)},
        "effective_from": _TIME,
        "trial": _object(
            ["days"],
            {
                "days": {"type": ["integer", "string"], "minimum": 1},
                "covers": {"enum": ["all", "fees"]},
            },
        ),
        "prices": _PRICES,
        "one_offs": _ONE_OFFS,
        "commitments": _list(_COMMITMENT),
        "credits": _list(_CREDITS),
        "coupons": _list(_COUPON),
        "add_ons": _list(_ADD_ON),
    },
    title="Plan",
)
"""A plan as `PUT /v1/plans/{slug}` takes it; in a catalog it has its slug too."""
