"""usage.events: each event once.

A record holds the fresh events of one envelope that belong to its partition, as a JSON array of
CloudEvents with the client's bytes untouched. Key: the source (or node); the partition is that
of tenant and source. Headers: `origin` (the envelope's partition and offset, by which a receiver
drops what it has seen), `stamped_at`, content-type, and traceparent.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from common.bus.types import Message, Record
from common.events.rfc3339 import parse_time_ms

CONTENT_TYPE: Final = b"application/cloudevents-batch+json"
STAMPED_AT_HEADER: Final = "stamped_at"


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """What a stage reads of an event. Numbers in `data` are int or Decimal, never float; `data`
    may be any JSON value, and NUL and any other character may stand in its strings."""

    source: str
    id: str
    type: str
    subject: str
    time: str | None = None
    data: Any = None


_decoder: Final = msgspec.json.Decoder(list[CloudEvent], float_hook=Decimal)
_one_decoder: Final = msgspec.json.Decoder(CloudEvent, float_hook=Decimal)


def events_record(
    key: str,
    raws: Sequence[bytes],
    *,
    origin: tuple[str, bytes],
    stamped_at_ms: int,
    traceparent: bytes | None,
) -> Record:
    """The record of events with the bytes `raws`; `origin` is the header made by
    `common.stream.position.origin_header`. The same arguments always give the same bytes."""
    headers = [
        origin,
        (STAMPED_AT_HEADER, b"%d" % stamped_at_ms),
        ("content-type", CONTENT_TYPE),
    ]
    if traceparent is not None:
        headers.append(("traceparent", traceparent))
    return Record(key=key.encode(), value=b"[" + b",".join(raws) + b"]", headers=tuple(headers))


def decode_events(message: Message) -> list[CloudEvent]:
    """The events of a record."""
    return _decoder.decode(message.value or b"[]")


def decode_event(raw: bytes) -> CloudEvent:
    """One event from its bytes."""
    return _one_decoder.decode(raw)


def stamped_at_ms(message: Message) -> int:
    """The time of those events of the record that have none: their receipt, Unix milliseconds."""
    header = message.header(STAMPED_AT_HEADER)
    return int(header) if header is not None else message.timestamp_ms


def time_ms(event: CloudEvent, stamped_at: int) -> int:
    """When the event happened, in Unix milliseconds, rounded down."""
    return stamped_at if event.time is None else parse_time_ms(event.time)
