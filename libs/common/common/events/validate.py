"""One element of a body becomes a valid event, or a rejection with its reason."""

import json
import unicodedata
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Final

import msgspec

from common.events import limits
from common.events.rfc3339 import parse_time_ms

_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)
canonical: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number")
"""The one form that equal content has."""
DIGEST_BYTES: Final = 8
_REQUIRED: Final = ("id", "source", "type", "subject")
_EXCERPT_BYTES: Final = 4096

STAMP_ATTRIBUTE: Final = "tollgatestamped"
"""Extension attribute that a collector sets to true when it gave the event its `time`."""


class ValidEvent(msgspec.Struct, frozen=True, gc=False):
    """A CloudEvent that may be counted.

    `raw`: the client's bytes. `time_ms`: Unix milliseconds, or None for an event that has no
    `time` and is stamped at its receipt. `is_stamped`: its time is not the client's, so a retry
    may have another one. `digest`: 8 bytes that are equal for equal content, however it is
    spaced and ordered; a stamp is not part of it.
    """

    raw: bytes
    source: str
    id: str
    type: str
    subject: str
    time_ms: int | None
    is_stamped: bool
    digest: bytes


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """An element that is parked: its place in the body, what is known of it, and why.

    `code`: one of `common.events.codes.REASONS`. `id` and `source` only if they are usable.
    `raw`: its bytes, or their beginning if `truncated`.
    """

    index: int
    id: str | None
    source: str | None
    code: str
    message: str
    raw: bytes
    truncated: bool = False


class _Bad(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def validate(index: int, raw: bytes, now_ms: int) -> ValidEvent | Rejection:
    """Judge the element at `index` of a body received at `now_ms` (Unix milliseconds).

    Looks at identity, tenant, type and time, and at nothing else: what `data` holds is the
    meters' business, as long as every reader can decode it.
    """
    event: dict[str, Any] = {}
    try:
        if len(raw) > limits.EVENT_BYTES:
            raise _Bad("event_too_large", f"an event may have {limits.EVENT_BYTES} bytes")
        event = _decoded(raw)
        said = _checked_canonical(event, raw)
        for name in _REQUIRED:
            if (problem := attribute_problem(event.get(name))) is not None:
                code = "invalid_field" if name in event else "missing_field"
                raise _Bad(code, f"{name} {problem}")
        if event.get("specversion") not in (None, "1.0"):
            raise _Bad("unsupported_specversion", 'specversion must be "1.0"')
        time_ms = _time_ms(event.get("time"), now_ms)
        is_stamped = time_ms is None or event.get(STAMP_ATTRIBUTE) is True
        if is_stamped:
            said = _without_stamp(event)
    except _Bad as bad:
        return Rejection(
            index=index,
            id=usable_attribute(event.get("id")),
            source=usable_attribute(event.get("source")),
            code=bad.code,
            message=str(bad),
            raw=raw[:_EXCERPT_BYTES] if bad.code == "event_too_large" else raw,
            truncated=bad.code == "event_too_large",
        )
    return ValidEvent(
        raw=raw,
        source=event["source"],
        id=event["id"],
        type=event["type"],
        subject=event["subject"],
        time_ms=time_ms,
        is_stamped=is_stamped,
        digest=blake2b(said, digest_size=DIGEST_BYTES).digest(),
    )


def attribute_problem(value: object) -> str | None:
    """What keeps `value` from being an identifying attribute, as the end of a sentence."""
    if type(value) is not str:
        return "must be a string"
    if not 0 < len(value) <= limits.ATTRIBUTE_CHARS:
        return f"must have 1 to {limits.ATTRIBUTE_CHARS} characters"
    if not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        return "must not hold control characters"
    return None


def usable_attribute(value: object) -> str | None:
    """`value` if it can identify something, else None."""
    return value if isinstance(value, str) and attribute_problem(value) is None else None


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        event = _decoder.decode(raw)
    except RecursionError:
        raise _too_deep() from None
    except (InvalidOperation, msgspec.ValidationError):
        raise _Bad("invalid_number", "a number is beyond what a decimal can hold") from None
    except ValueError as error:  # msgspec.DecodeError, UnicodeDecodeError
        raise _Bad("invalid_json", f"not JSON: {_safe(error)}") from None
    if type(event) is not dict:
        raise _Bad("not_an_object", "an event must be a JSON object")
    # Brackets bound the depth from above; few events have so many.
    if raw.count(b"{") + raw.count(b"[") > limits.EVENT_DEPTH and _depth_exceeds(
        event, limits.EVENT_DEPTH
    ):
        raise _too_deep()
    return event


def _checked_canonical(event: dict[str, Any], raw: bytes) -> bytes:
    """The canonical JSON of `event`, after making sure that no object named a key twice.

    The decoder keeps the last of equal keys, so the canonical form then has fewer colons. A
    colon written as an escape could make up for it: those events take the slow way.
    """
    form = canonical.encode(event)
    if raw.count(b":") != form.count(b":") or b"\\u003" in raw:
        json.loads(raw, object_pairs_hook=_unique_keys, parse_int=str, parse_float=str)
    return form


def _without_stamp(event: dict[str, Any]) -> bytes:
    """The canonical JSON of what the client said, whoever stamped it."""
    said = {name: value for name, value in event.items() if name not in ("time", STAMP_ATTRIBUTE)}
    return canonical.encode(said)


def _unique_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Bad("duplicate_key", "an object names the same key twice")


def _depth_exceeds(value: object, levels: int) -> bool:
    layer: list[object] = [value]
    for _ in range(levels):
        layer = [child for node in layer for child in _children(node)]
        if not layer:
            return False
    return any(isinstance(node, dict | list) for node in layer)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _time_ms(value: object, now_ms: int) -> int | None:
    if value is None:
        return None
    if type(value) is not str:
        raise _Bad("invalid_time", "time must be a string")
    try:
        time_ms = parse_time_ms(value)
    except ValueError as error:
        raise _Bad("invalid_time", f"time is {_safe(error)}") from None
    if time_ms < now_ms - limits.PAST_MS:
        raise _Bad("too_old", "time lies more than 35 days back")
    if time_ms > now_ms + limits.FUTURE_MS:
        raise _Bad("in_future", "time lies more than 5 minutes ahead")
    return time_ms


def _too_deep() -> _Bad:
    return _Bad("too_deep", f"nesting may have {limits.EVENT_DEPTH} levels")


def _safe(error: Exception) -> str:
    """An error's sentence without anything that a log or a database could stumble over."""
    return "".join(c if c.isprintable() else "?" for c in str(error))[:200]
