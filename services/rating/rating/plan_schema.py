"""The JSON Schema of a plan, for editors: what fields there are and what they take.

What one field, or a few beside each other, can say is checked here; what belongs together across a
plan (tiers that ascend, names that exist) is checked when the plan is read.
"""

from typing import Final

from common.money import currencies
from rating.parts.interval import ALIGNMENTS, MAX_COUNT, MONTHS
from rating.parts.trial import COVERS, MAX_DAYS
from rating.plan import MAX_CURRENCIES
from rating.price_schema import FIELDS, PRICE
from rating.schema_shapes import (
    DECIMAL,
    NAME,
    NAMES,
    PERIODS,
    POSITIVE,
    POSITIVE_PERCENT,
    TEXT,
    TIME,
    Schema,
    either,
    list_of,
    object_of,
)
from rating.variants import IDENTIFYING

_CURRENCY: Final[Schema] = {"enum": currencies()}
_PRICES: Final[Schema] = list_of({"$ref": "#/$defs/Price"}, at_least=1)
_ONE_OFFS: Final[Schema] = list_of(
    object_of(["slug", "amount"], {"slug": NAME, "amount": DECIMAL, "description": TEXT})
)
_COMMITMENT: Final[Schema] = object_of(
    ["slug", "amount"],
    {"slug": NAME, "amount": POSITIVE, "of": NAMES, "description": TEXT},
)
_CREDITS: Final[Schema] = object_of(
    ["slug", "amount", "price"],
    {
        "slug": NAME,
        "amount": POSITIVE,
        "price": DECIMAL,
        "every": {"enum": ["period", "once"]},
        "expires_after": PERIODS,
        "of": NAMES,
        "description": TEXT,
    },
)
_COUPON: Final[Schema] = object_of(
    ["slug"],
    {
        "slug": NAME,
        "percent": POSITIVE_PERCENT,
        "amount": POSITIVE,
        "periods": PERIODS,
        "of": NAMES,
    },
    **either("amount", "percent"),
)
_ADD_ON: Final[Schema] = object_of(
    ["slug", "prices"],
    {"slug": NAME, "name": TEXT, "prices": _PRICES, "one_offs": _ONE_OFFS},
)
_OVERRIDE: Final[Schema] = {
    "type": "object",
    "properties": {name: False for name in IDENTIFYING}
    | {
        name: shape
        for required, fields in FIELDS.values()
        for name, shape in fields.items()
        if name in required and name != "tiers"
    },
}
"""What a part says in another currency: any of its fields. Tiers are those of its model, which is
not known here."""
_INTERVAL: Final[Schema] = {
    "type": ["string", "object"],
    "if": {"type": "string"},
    "then": {"enum": list(MONTHS)},
    "else": object_of(
        [],
        {
            unit: {"type": "integer", "minimum": 1, "maximum": most}
            for unit, most in MAX_COUNT.items()
        },
        minProperties=1,
        maxProperties=1,
    ),
}

PLAN_SCHEMA: Final[Schema] = object_of(
    ["name", "currency", "prices"],
    {
        "slug": NAME,
        "name": {**TEXT, "minLength": 1},
        "currency": _CURRENCY,
        "currencies": {
            "description": "By further currency and part: its fields in that currency.",
            "type": "object",
            "propertyNames": _CURRENCY,
            "minProperties": 1,
            "maxProperties": MAX_CURRENCIES,
            "additionalProperties": {"type": "object", "additionalProperties": _OVERRIDE},
        },
        "interval": _INTERVAL,
        "alignment": {"enum": list(ALIGNMENTS)},
        "effective_from": TIME,
        "trial": object_of(
            ["days"],
            {
                "days": {
                    "type": ["integer", "string"],
                    "minimum": 1,
                    "maximum": MAX_DAYS,
                    "pattern": "^[1-9][0-9]{0,3}$",
                },
                "covers": {"enum": list(COVERS)},
            },
        ),
        "prices": _PRICES,
        "one_offs": _ONE_OFFS,
        "commitments": list_of(_COMMITMENT),
        "credits": list_of(_CREDITS),
        "coupons": list_of(_COUPON),
        "add_ons": list_of(_ADD_ON),
    },
    title="Plan",
    **{"$defs": {"Price": PRICE}},
)
"""A plan as `PUT /v1/plans/{slug}` takes it; in a catalog it has its slug too."""
