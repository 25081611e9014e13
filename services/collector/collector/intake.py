"""What one body of POST /v1/events holds. Pure: bytes and a time in, values out.

Good events are kept as the client sent them. An event without `time` gets the time of its receipt
and the extension attribute `tollgatestamped`, which tells ingest to treat a retry, stamped anew, as
the same event: its content is compared without the time, its identity is looked for one day back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from common.events import Rejection, ValidEvent, validate
from common.events.validate import STAMP_ATTRIBUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class Intake:
    """The good events of a body, ready for the spool, and the refused ones."""

    events: list[bytes] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


def sort_out(intake: Intake, index: int, elements: Sequence[bytes], now_ms: int) -> None:
    """Judges `elements`, the first of which stands at `index` of its body, into `intake`."""
    for found in _judged(index, elements, now_ms):
        if isinstance(found, Rejection):
            intake.rejected.append(found)
        else:
            intake.events.append(
                found.raw if found.time_ms is not None else stamped(found.raw, now_ms)
            )


def stamped(raw: bytes, now_ms: int) -> bytes:
    """A valid event without a time, with `now_ms` as its time and the mark that says so."""
    attributes = b'"time":"%b","%b":true' % (rfc3339(now_ms).encode(), STAMP_ATTRIBUTE.encode())
    if b'"time"' not in raw and STAMP_ATTRIBUTE.encode() not in raw and b"\\u" not in raw:
        return raw.replace(b"{", b"{" + attributes + b",", 1)
    fields: dict[str, Any] = dict(_decoder.decode(raw))
    fields |= {"time": rfc3339(now_ms), STAMP_ATTRIBUTE: True}
    return msgspec.json.encode(fields)


def rfc3339(unix_ms: int) -> str:
    """RFC 3339 UTC with milliseconds; such strings sort as the times do."""
    moment = _EPOCH + timedelta(milliseconds=unix_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


def _judged(index: int, elements: Sequence[bytes], now_ms: int) -> Iterator[ValidEvent | Rejection]:
    for offset, raw in enumerate(elements):
        yield validate(index + offset, raw, now_ms)
