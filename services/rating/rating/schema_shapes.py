"""The shapes of which the JSON Schema of a plan is made. Each takes what reading takes, in the
canonical form; where something is wrong, the error stands at the field."""

from typing import Any, Final

from rating.parts.coupon import MAX_PERIODS
from rating.parts.names import SLUG

Schema = dict[str, Any]

_DIGITS: Final = r"[0-9]{1,20}(\.[0-9]{1,18})?"
DECIMAL: Final[Schema] = {
    "description": "A decimal that is not negative, as a text.",
    "type": ["string", "integer"],
    "pattern": f"^{_DIGITS}$",
    "minimum": 0,
}
POSITIVE: Final[Schema] = {
    "description": "A decimal above 0, as a text.",
    "type": ["string", "integer"],
    "pattern": f"^(?=.*[1-9]){_DIGITS}$",
    "minimum": 1,
}
PERCENT: Final[Schema] = {
    "description": "From 0 to 100, as a text: 50 is 50 %.",
    "type": ["string", "integer"],
    "pattern": r"^(100(\.0{1,18})?|[0-9]{1,2}(\.[0-9]{1,18})?)$",
    "minimum": 0,
    "maximum": 100,
}
POSITIVE_PERCENT: Final[Schema] = {
    **PERCENT,
    "description": "Above 0, up to 100, as a text: 50 is 50 %.",
    "pattern": f"^(?=.*[1-9]){str(PERCENT['pattern'])[1:]}",
    "minimum": 1,
}
NAME: Final[Schema] = {"type": "string", "pattern": f"^{SLUG.pattern}$"}
NAMES: Final[Schema] = {"type": "array", "items": NAME, "minItems": 1, "uniqueItems": True}
TEXT: Final[Schema] = {"type": "string", "maxLength": 200}
TIME: Final[Schema] = {
    "type": "string",
    "description": "RFC 3339, such as 2026-11-01T00:00:00Z; in a file also a date, its midnight.",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
}
PERIODS: Final[Schema] = {
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": MAX_PERIODS,
    "pattern": "^([1-9][0-9]{0,3}|10000)$",
}

DIMENSION: Final[Schema] = {
    "description": "A value of a dimension; it is compared as a text.",
    "type": ["string", "number", "boolean", "null"],
}


def object_of(required: list[str], properties: Schema, **more: Any) -> Schema:
    """An object with these fields and no other."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        **more,
    }


def list_of(items: Schema, *, at_least: int = 0, at_most: int = 100) -> Schema:
    return {"type": "array", "items": items, "minItems": at_least, "maxItems": at_most}


def either(one: str, other: str) -> Schema:
    """That exactly one of two fields is there, as a condition of an object: without both, the
    second is said to be missing."""
    return {
        "if": {"required": [one]},
        "then": {"properties": {other: False}},
        "else": {"required": [other]},
    }
