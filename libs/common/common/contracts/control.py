"""Control records: what a stage tells the next one besides data.

A *watermark* W from input partition `origin` says: everything received before W has passed the
stage on that partition, and lies before this record in the log. A *tick* carries nothing; its
broker timestamp moves the watermark of an idle input partition.
"""

import msgspec

from common.bus.types import Message, Record

HEADER = "control"


class Watermark(msgspec.Struct, frozen=True):
    """`watermark_ms`: Unix milliseconds. `inputs`: how many origins the emitting stage has."""

    origin: int
    inputs: int
    watermark_ms: int


def watermark_record(origin: int, inputs: int, watermark_ms: int) -> Record:
    """The control record that says `watermark_ms` for input partition `origin` of `inputs`."""
    body = msgspec.json.encode(Watermark(origin, inputs, watermark_ms))
    # One key an origin: a compacted topic keeps the last watermark of each.
    return Record(key=f"watermark/{origin}".encode(), value=body, headers=((HEADER, b"watermark"),))


def tick_record() -> Record:
    """A record without meaning, appended to an idle partition to learn the broker's time."""
    return Record(key=b"tick", value=b"{}", headers=((HEADER, b"tick"),))


def is_control(message: Message) -> bool:
    """Whether a message is a control record, of a kind known here or not."""
    return message.header(HEADER) is not None


def watermark_of(message: Message) -> Watermark | None:
    """The watermark a message carries, or None for data and other control records."""
    if message.header(HEADER) != b"watermark" or message.value is None:
        return None
    return msgspec.json.decode(message.value, type=Watermark)
