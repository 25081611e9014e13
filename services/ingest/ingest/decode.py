"""From messages of usage.received to arrivals. Pure."""

from typing import Final

from common.bus.types import Message
from common.contracts.received import Envelope, ReceivedReject, count_of, decode_envelope
from common.events import REASONS
from ingest.dedupe import Arrival

_EXCERPT_BYTES: Final = 4096


def arrival_of(message: Message) -> Arrival:
    """The envelope of a message.

    What is no envelope becomes one with rejects, as many as its header counts, so that the
    accounting holds. Raises `UnknownVersion` for an envelope from the future.
    """
    value = message.value or b""
    try:
        envelope = decode_envelope(value)
    except ValueError:
        envelope = _unreadable(message, value)
    return Arrival(message.offset, message.timestamp_ms, envelope, message.header("traceparent"))


def _unreadable(message: Message, value: bytes) -> Envelope:
    rejects = [
        ReceivedReject(
            place=place,
            id=None,
            source=None,
            code="unreadable_envelope",
            message=REASONS["unreadable_envelope"],
            truncated=True,
            raw=value[:_EXCERPT_BYTES],
        )
        for place in range(min(count_of(message), 10_000))
    ]
    return Envelope(key="", received_at_ms=message.timestamp_ms, rejects=rejects)
