"""The JSON Schema of a plan's prices: one schema a model, chosen by the field `model`, so that an
error names the field that is wrong and not all models that it is not."""

from typing import Final

from rating.modifiers.conversion import ROUNDINGS
from rating.parts.price import BILLED
from rating.prices import MODELS
from rating.prices.matrix import MAX_CELLS, MAX_DIMENSIONS
from rating.prices.tiers import MAX_TIERS
from rating.schema_shapes import (
    DECIMAL,
    DIMENSION,
    NAME,
    PERCENT,
    POSITIVE,
    TEXT,
    TIME,
    Schema,
    either,
    list_of,
    object_of,
)


def _tiers(amount: str) -> Schema:
    """One tier is open. That it is the last, and that the others ascend, is seen when the plan is
    read."""
    tier = {
        "up_to": {**POSITIVE, "type": ["string", "integer", "null"]},
        amount: DECIMAL,
        "flat_amount": DECIMAL,
    }
    return {
        **list_of(object_of([], tier), at_least=1, at_most=MAX_TIERS),
        "description": "Ascending by up_to; the last tier, and no other, is open (null).",
        "contains": {"properties": {"up_to": {"type": "null"}}},
        "minContains": 1,
        "maxContains": 1,
    }


_CELL: Final = object_of(
    ["group", "unit_amount"],
    {
        "group": {"type": "object", "additionalProperties": DIMENSION},
        "unit_amount": DECIMAL,
    },
)

FIELDS: Final[dict[str, tuple[list[str], Schema]]] = {
    "flat": (["amount"], {"amount": DECIMAL}),
    "unit": (["unit_amount"], {"unit_amount": DECIMAL}),
    "graduated": (["tiers"], {"tiers": _tiers("unit_amount")}),
    "volume": (["tiers"], {"tiers": _tiers("unit_amount")}),
    "package": (["package_size", "amount"], {"package_size": POSITIVE, "amount": DECIMAL}),
    "percentage": (["rate"], {"rate": DECIMAL, "fixed_amount": DECIMAL}),
    "graduated_percentage": (["tiers"], {"tiers": _tiers("rate")}),
    "matrix": (
        ["dimensions", "default", "cells"],
        {
            "dimensions": {
                **list_of({**TEXT, "minLength": 1}, at_least=1, at_most=MAX_DIMENSIONS),
                "uniqueItems": True,
            },
            "default": DECIMAL,
            "cells": list_of(_CELL, at_least=1, at_most=MAX_CELLS),
        },
    ),
    "dynamic": (["multiplier"], {"multiplier": DECIMAL}),
    "time_weighted": (
        ["unit_amount", "per"],
        {"unit_amount": DECIMAL, "per": {"enum": ["hour", "month"]}},
    ),
}
"""By model: the fields that it must have, and all of its own that a plan takes: what of a
`percentage` looks at single events does not belong to a plan."""

_OF_QUANTITIES: Final[Schema] = {
    "conversion": object_of(
        [],
        {
            "multiply": POSITIVE,
            "divide": POSITIVE,
            "rounding": {"enum": list(ROUNDINGS)},
            "precision": {
                "type": ["integer", "string"],
                "minimum": 0,
                "maximum": 18,
                "pattern": "^(1[0-8]|[0-9])$",
            },
        },
        allOf=[{"if": {"required": ["rounding"]}, "else": {"properties": {"precision": False}}}],
        **either("multiply", "divide"),
    ),
    "included": DECIMAL,
    "rollover": {**object_of([], {"cap": DECIMAL}), "type": ["object", "boolean"]},
    "minimum_quantity": DECIMAL,
}
"""Modifiers of models that price a quantity."""

_OF_EVERY_PRICE: Final[Schema] = {
    "slug": NAME,
    "model": {"enum": list(MODELS)},
    "description": TEXT,
    "billed": {"enum": list(BILLED)},
    "from": TIME,
    "until": TIME,
}

_METER: Final[Schema] = {
    "type": ["string", "null"],
    "minLength": 1,
    "description": "Whose usage is priced.",
}
_QUANTITY: Final[Schema] = {
    **NAME,
    "type": ["string", "null"],
    "description": "Which quantity of the subscription, such as seats.",
}
_NONE: Final[Schema] = {"type": "null"}
_USAGE: Final[Schema] = {
    "required": ["meter"],
    "properties": {
        "meter": {"type": "string"},
        "billed": {"const": "arrears"},
        "quantity": _NONE,
        "default_quantity": False,
    },
}
_OF_A_QUANTITY: Final[Schema] = {"properties": {"meter": _NONE, "rollover": False}}


def modifiers(name: str) -> Schema:
    """The fields of what may modify a price of a model."""
    kinds = {"percent": PERCENT, "amount": DECIMAL}
    by_quantity = MODELS[name].by_quantity
    if by_quantity:
        kinds["quantity"] = DECIMAL
    discount = object_of([], kinds, minProperties=1, maxProperties=1)
    bounds = {"discount": discount, "maximum": DECIMAL, "minimum": DECIMAL}
    return bounds | _OF_QUANTITIES if by_quantity else bounds


def _price(name: str) -> Schema:
    """The fields of a price of a model, and what it is of: a meter, a quantity, or nothing."""
    model = MODELS[name]
    required, own = FIELDS[name]
    fields = {**_OF_EVERY_PRICE, **own, **modifiers(name), "meter": _NONE, "quantity": _NONE}
    if not model.metered:
        return object_of(required, fields)
    fields |= {"meter": _METER, "quantity": _QUANTITY, "default_quantity": DECIMAL}
    if model.needs is not None:
        return object_of(required, fields, allOf=[_USAGE])
    priced = {
        "if": {"required": ["quantity"], "properties": {"quantity": {"type": "string"}}},
        "then": _OF_A_QUANTITY,
        "else": _USAGE,
    }
    return object_of(required, fields, allOf=[priced])


PRICE: Final[Schema] = {
    "type": "object",
    "required": ["slug", "model"],
    "properties": {"slug": NAME, "model": {"enum": list(MODELS)}},
    "allOf": [
        {
            "if": {"required": ["model"], "properties": {"model": {"const": model}}},
            "then": {"title": model, **_price(model)},
        }
        for model in FIELDS
    ],
}
