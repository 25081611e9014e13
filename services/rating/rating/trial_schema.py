"""The JSON Schema of `POST /v1/rate`: what it takes and what it answers.

For readers and generated clients. What is refused is decided where the body is read (trial.py),
which also takes null for what is left out, and numbers such as 1e-6.
"""

from typing import Final

from common.money import currencies
from rating.price_schema import FIELDS, modifiers
from rating.prices.fields import USAGE_DIGITS
from rating.schema_shapes import DECIMAL, DIMENSION, TEXT, TIME, Schema, list_of, object_of

MAX_EVENTS: Final = 10_000

_SIGNED: Final[Schema] = {
    "description": f"A decimal, as a text, with up to {USAGE_DIGITS} digits on each side.",
    "type": ["string", "integer"],
    "pattern": rf"^-?[0-9]{{1,{USAGE_DIGITS}}}(\.[0-9]{{1,{USAGE_DIGITS}}})?$",
}
_ANSWERED: Final[Schema] = {"description": "A decimal.", "type": "string"}
_MAYBE: Final[Schema] = {"type": ["string", "null"]}
_GROUP: Final[Schema] = {
    "description": "Values of the meter's dimensions, by name.",
    "type": "object",
    "additionalProperties": DIMENSION,
}
_BY_EVENT: Final[Schema] = {
    "free_events": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]{1,12}$"},
    "free_amount": DECIMAL,
    "min_per_event": DECIMAL,
    "max_per_event": DECIMAL,
}


def _price(model: str) -> Schema:
    required, own = FIELDS[model]
    by_event = _BY_EVENT if model == "percentage" else {}
    fields = {"model": {"const": model}, **own, **by_event, **modifiers(model)}
    return object_of(["model", *required], fields, title=model)


RATE_REQUEST: Final[Schema] = object_of(
    ["currency", "price"],
    {
        "currency": {"description": "ISO 4217.", "enum": currencies()},
        "price": {
            "description": "A model with its fields, and modifiers.",
            "oneOf": [_price(model) for model in FIELDS],
        },
        "quantity": {**_SIGNED, "description": "Usage of the whole period so far; 0 if left out."},
        "events": {
            **list_of(object_of(["amount"], {"amount": _SIGNED, "time": TIME}), at_most=MAX_EVENTS),
            "description": "One by one, in order, where a model looks at events.",
        },
        "group": _GROUP,
        "groups": {
            **list_of(
                object_of(["quantity"], {"group": _GROUP, "quantity": _SIGNED}), at_most=MAX_EVENTS
            ),
            "description": "Instead of quantity and group: usage in several groups, for a matrix.",
        },
        "invoiced": {
            **_SIGNED,
            "description": "What earlier invoices of this period billed for this price, in whole "
            "minor units; 0 if left out.",
        },
        "rolled_over": {
            **DECIMAL,
            "description": "Included units that earlier periods left over, for a price with "
            "rollover.",
        },
        "proration": {
            **object_of(
                ["service_from", "service_to", "period_from", "period_to"],
                {
                    "service_from": TIME,
                    "service_to": TIME,
                    "period_from": TIME,
                    "period_to": TIME,
                    "time_zone": {**TEXT, "description": "Of the IANA database.", "default": "UTC"},
                    "granularity": {"enum": ["second", "day"], "default": "second"},
                },
            ),
            "description": "The part of the period that the service covers; both are half open.",
        },
    },
    title="RateRequest",
)

RATE_ANSWER: Final[Schema] = object_of(
    ["amount", "due", "lines", "residual"],
    {
        "amount": {**_ANSWERED, "description": "Rounded once, to the currency's minor unit."},
        "due": {**_ANSWERED, "description": "amount less invoiced; may be negative."},
        "lines": {
            "description": "The steps to the amount; they add up to amount + residual.",
            "type": "array",
            "items": object_of(
                ["kind", "description", "quantity", "unit_amount", "amount"],
                {
                    "kind": {"type": "string"},
                    "description": {"type": "string"},
                    "quantity": _MAYBE,
                    "unit_amount": {
                        **_MAYBE,
                        "description": "Times quantity, it is the amount; null where it is not.",
                    },
                    "amount": _ANSWERED,
                    "tier": {"type": "integer", "description": "Counted from 1."},
                },
            ),
        },
        "residual": {**_ANSWERED, "description": "The exact amount less the rounded one."},
        "left_over": {
            **_ANSWERED,
            "description": "With rollover: units for the next period's rolled_over.",
        },
    },
    title="RateAnswer",
)
