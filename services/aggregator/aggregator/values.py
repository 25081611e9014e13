"""Reading one value out of an event's data: exact, bounded, and never an exception. Pure.

What cannot be read is a `Reason`, not an error: the event stays counted as an event, and is listed
at the meter.
"""

import re
from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

WHOLE_DIGITS: Final = 20
DECIMALS: Final = 18
"""A value fits NUMERIC(38,18): 38 digits, 18 of them after the point."""

_BOUND: Final = 10**WHOLE_DIGITS
_QUANTUM: Final = Decimal(1).scaleb(-DECIMALS)
_FIT: Final = Context(prec=60, Emax=10_000, Emin=-10_000, traps=[InvalidOperation, Inexact])
_NUMBER: Final = re.compile(r"-?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,4})?")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
MEMBER_BYTES: Final = 16
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Reason(Enum):
    """Why a meter cannot read its value from an event. The name is the code that is listed."""

    missing = "there is nothing at the path"
    not_a_number = "the value is not a number, nor a string that holds one"
    not_a_member = "the value is neither a string nor a number"
    out_of_range = "the value has more than 20 digits before or 18 after the point"


def lookup(data: Any, parts: tuple[str, ...]) -> Any:
    """What stands at the path `parts` in `data`; None where there is nothing."""
    for part in parts:
        if data.__class__ is not dict:
            return None
        data = data.get(part)
    return data


def number(value: Any) -> int | Decimal | Reason:
    """`value` as an exact number.

    A JSON string that holds a decimal number counts as that number: senders that care for
    exactness write decimals as strings, as our own APIs do. NaN, infinities, blanks, commas
    and booleans are not numbers.
    """
    kind = value.__class__
    if kind is int:
        return value if -_BOUND < value < _BOUND else Reason.out_of_range
    if kind is Decimal:
        return _fitting(value)
    if value is None:
        return Reason.missing
    if kind is str:
        return _fitting(Decimal(value)) if _NUMBER.fullmatch(value) else Reason.not_a_number
    return Reason.not_a_number


def numbers(values: list[Any]) -> Sequence[int | Decimal | Reason]:
    """`number` of each; integers that all fit are left as they are."""
    if set(map(type, values)) == {int} and min(values) > -_BOUND and max(values) < _BOUND:
        return values
    return [number(value) for value in values]


def member(value: Any) -> str | Reason:
    """The hash (32 hex digits) by which unique_count tells values apart.

    Numbers count as their plain text, so 42, 42.0 and "42" are one member. An empty string is
    as good as nothing.
    """
    if value is None or value == "":
        return Reason.missing
    kind = value.__class__
    if kind is str:
        text = value
    elif kind is int or kind is Decimal:
        exact = number(value)
        if isinstance(exact, Reason):
            return exact
        text = plain(Decimal(exact))
    else:
        return Reason.not_a_member
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=MEMBER_BYTES).hexdigest()


def dimension(value: Any, budget: int) -> str:
    """A descriptive dimension as text; whatever cannot be one is "" and costs no usage.

    `budget`: how many bytes of JSON it may take. A longer value is cut and ends in a hash of the
    whole, so that different values stay different. NUL and lone surrogates, which PostgreSQL
    does not store, become U+FFFD.
    """
    kind = value.__class__
    if kind is str:
        if len(value) <= budget:
            return _dimension(value, budget)
        return _storable(value, budget)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is Decimal:
        exact = number(value)
        return "" if isinstance(exact, Reason) else plain(Decimal(exact))
    return ""


def excerpt(value: Any, characters: int = 200) -> str:
    """The beginning of `value` as JSON that PostgreSQL and people can take."""
    try:
        text = _encoder.encode(value).decode("utf-8", "replace")
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = type(value).__name__
    return _UNSTORABLE.sub("\ufffd", text[:characters])


def plain(value: Decimal) -> str:
    """`value` without exponent and without zeros that say nothing."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _fitting(value: Decimal) -> Decimal | Reason:
    if not value.is_finite():
        return Reason.not_a_number
    if not value:
        return Decimal(0)
    if value.adjusted() >= WHOLE_DIGITS:
        return Reason.out_of_range
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        try:
            return value.quantize(_QUANTUM, context=_FIT)
        except (Inexact, InvalidOperation):
            return Reason.out_of_range
    return value


def _storable(text: str, budget: int) -> str:
    clean = _UNSTORABLE.sub("\ufffd", text)
    if _json_bytes(clean) <= budget:
        return clean
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    kept = clean[: budget - 17]
    while _json_bytes(kept) > budget - 17:
        kept = kept[: len(kept) * 3 // 4]
    return f"{kept}~{digest}"


def _json_bytes(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2


_dimension = lru_cache(maxsize=65_536)(_storable)
