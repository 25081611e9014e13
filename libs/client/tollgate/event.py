"""Usage events, as CloudEvents 1.0.

Identity (`source`, `id`) and `time` are fixed when the event is made, before the first try to
send it: however often it is sent, it counts once.
"""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from common.ids import uuid7


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One use of something by one tenant.

    subject  the tenant's key.
    time     RFC 3339; when it was used. The usage belongs to the hour of this time.
    data     what the meters read; ints and `Decimal`s arrive exact, floats as they are written.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Mapping[str, Any] = {}
    specversion: str = "1.0"


_encoder = msgspec.json.Encoder(decimal_format="number")


def default_source() -> str:
    """Names this process as a source: host and process."""
    return f"{socket.gethostname()}/{os.getpid()}"


def event(
    type: str,
    tenant: str,
    data: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    source: str | None = None,
    time: datetime | None = None,
) -> Event:
    """A new event. `time` (aware) is now unless given; `id` a new UUID, `source` this process."""
    moment = datetime.now(UTC) if time is None else time
    if moment.tzinfo is None:
        raise ValueError("time must be aware: datetime.now(UTC)")
    return Event(
        id=str(uuid7()) if id is None else id,
        source=default_source() if source is None else source,
        type=type,
        subject=tenant,
        time=moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        data={} if data is None else dict(data),
    )


def encode_events(events: list[Event] | list[Mapping[str, Any]]) -> bytes:
    """A JSON array of events; decimals as JSON numbers, digit for digit."""
    return _encoder.encode(events)
