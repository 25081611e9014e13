"""Many events at once: the judgement of `validate`, at two thirds of its cost. Pure.

A few dozen elements are decoded in one call, into structs, and encoded in one call for their
digests. What is plainly good is judged here; whatever needs a second look goes to `validate`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from common.events import limits
from common.events.body import WholeElements
from common.events.rfc3339 import parse_time_ms
from common.events.validate import DIGEST_BYTES, Rejection, ValidEvent, canonical, validate

_CHUNK: Final = 32
"""Elements judged together: one that is bad costs its chunk the slow way, and no more."""

_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ATTRIBUTE_CHARS)]


class _Event(msgspec.Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """An event with the usual attributes. Fields stand in the order of their names, so that the
    struct and a dictionary have the same canonical JSON."""

    data: Any = UNSET
    datacontenttype: Any = UNSET
    dataschema: Any = UNSET
    id: _Attribute
    source: _Attribute
    specversion: str | UnsetType | None = UNSET
    subject: _Attribute
    time: str | UnsetType | None = UNSET
    tollgatestamped: Any = UNSET
    type: _Attribute


_decoder: Final = msgspec.json.Decoder(list[_Event], float_hook=Decimal)
_digest: Final = blake2b(digest_size=DIGEST_BYTES)
_VERSIONS: Final = ("1.0", UNSET, None)


def validate_all(elements: Sequence[bytes], now_ms: int) -> Iterator[list[ValidEvent | Rejection]]:
    """What `validate` says of each of `elements`, in order, some dozens at a time."""
    is_whole = isinstance(elements, WholeElements)
    for first in range(0, len(elements), _CHUNK):
        chunk = elements[first : first + _CHUNK]
        plain = _plain(first, chunk, now_ms) if is_whole else None
        if plain is None:
            plain = [validate(first + i, raw, now_ms) for i, raw in enumerate(chunk)]
        yield plain


def _plain(first: int, chunk: Sequence[bytes], now_ms: int) -> list[ValidEvent | Rejection] | None:
    """The judgements of a chunk of whole elements; None when something in it is not plain."""
    joined = b"[%b]" % b",".join(chunk)
    if len(joined) > limits.EVENT_BYTES:
        return None
    try:
        events = _decoder.decode(joined)
    except (ValueError, RecursionError, InvalidOperation):  # msgspec's errors are ValueErrors
        return None
    lines = canonical.encode_lines(events)
    # As in `validate`: equal keys leave fewer colons, unless one was written as an escape. No
    # element has more colons in its canonical form, so equal totals are equal numbers each.
    if lines.count(b":") != joined.count(b":") or b"\\u003" in joined:
        return None
    # Each element has a bracket of its own; the rest could all be in one of them.
    brackets = joined.count(b"{") + joined.count(b"[") - 1
    if brackets - (len(chunk) - 1) > limits.EVENT_DEPTH:
        return None
    oldest_ms, newest_ms = now_ms - limits.PAST_MS, now_ms + limits.FUTURE_MS
    judged: list[ValidEvent | Rejection] = []
    for raw, event, line in zip(chunk, events, lines[:-1].split(b"\n"), strict=True):
        source, event_id, subject = event.source, event.id, event.subject
        time_ms, is_stamped = None, True
        is_plain = (
            event_id.isprintable()
            and _are_printable(source, subject, event.type)
            and event.specversion in _VERSIONS
        )
        time = event.time
        if is_plain and time.__class__ is str:
            try:
                time_ms = parse_time_ms(time)
            except ValueError:
                is_plain = False
            else:
                is_plain = oldest_ms <= time_ms <= newest_ms
                is_stamped = event.tollgatestamped is True
        if not is_plain:
            judged.append(validate(first + len(judged), raw, now_ms))
            continue
        if is_stamped:
            event.time = event.tollgatestamped = UNSET
            line = canonical.encode(event)
        digest = _digest.copy()
        digest.update(line)
        judged.append(
            ValidEvent(
                raw, source, event_id, event.type, subject, time_ms, is_stamped, digest.digest()
            )
        )
    return judged


@lru_cache(maxsize=16_384)
def _are_printable(source: str, subject: str, event_type: str) -> bool:
    """Whether names that come again and again have nothing but printable characters."""
    return source.isprintable() and subject.isprintable() and event_type.isprintable()
