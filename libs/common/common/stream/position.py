"""Where a stage stands in one input partition, and how a batch moves it. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from common.bus.types import Message
from common.contracts.control import is_control, watermark_of

ORIGIN_HEADER = "origin"
UNSTAMPED_SLACK_MS = 5_000
"""A broker that does not stamp records itself leaves the producers' clocks and delays in the
timestamps; a watermark read from them stays this far behind."""


class OffsetGap(Exception):
    """A batch does not begin where the last one ended: records were lost or skipped. The stage
    stops and alarms; going on would lose usage."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed about one input partition.

    epoch           grows with each claim; only its holder may commit.
    next_offset     everything below has taken effect.
    emitted_offset  everything below has been emitted and acknowledged.
    seen            highest origin offset taken, by origin partition.
    watermarks      Unix milliseconds, by origin partition.
    inputs          how many origins feed this partition; 0 until one of them has said.
    watermark_ms    everything received before it has passed this stage here; None: unknown.
    """

    topic: str
    partition: int
    epoch: int = 0
    next_offset: int = 0
    emitted_offset: int = 0
    seen: Mapping[int, int] = {}
    watermarks: Mapping[int, int] = {}
    inputs: int = 0
    watermark_ms: int | None = None


class Advance(msgspec.Struct, frozen=True):
    """The position after a batch, and the data messages in it that were not seen before."""

    position: Position
    fresh: list[Message]
    repeated: int


def parse_origin(header: bytes) -> tuple[int, int]:
    """(partition, offset) of an origin header."""
    partition, _, offset = header.partition(b":")
    return int(partition), int(offset)


def origin_header(partition: int, offset: int) -> tuple[str, bytes]:
    """The header that says which input record an output record was made from."""
    return ORIGIN_HEADER, b"%d:%d" % (partition, offset)


def advance(
    position: Position, messages: Sequence[Message], *, compacted: bool, root: bool
) -> Advance:
    """Move over `messages`.

    Invariants: offsets begin at `next_offset` and have no hole (a compacted topic may have
    holes, never a step back); an origin at or below the one seen is dropped; a watermark never
    goes back. `root`: the first stage, whose watermark is the broker's own clock in the records.
    Raises `OffsetGap`.
    """
    seen = dict(position.seen)
    watermarks = dict(position.watermarks)
    inputs, watermark = position.inputs, position.watermark_ms
    expected = position.next_offset
    fresh: list[Message] = []
    repeated = 0
    for message in messages:
        if message.offset < expected or (message.offset > expected and not compacted):
            raise OffsetGap(
                f"{message.topic}/{message.partition}: got offset {message.offset}, "
                f"expected {expected}"
            )
        expected = message.offset + 1
        if root:
            slack = 0 if message.log_append_time else UNSTAMPED_SLACK_MS
            watermark = max(watermark or 0, message.timestamp_ms - slack)
        if is_control(message):
            told = watermark_of(message)
            if told is not None and not root:
                inputs = max(inputs, told.inputs)
                known = watermarks.get(told.origin, 0)
                watermarks[told.origin] = max(known, told.watermark_ms)
            continue
        origin = message.header(ORIGIN_HEADER)
        if origin is not None:
            partition, offset = parse_origin(origin)
            if offset <= seen.get(partition, -1):
                repeated += 1
                continue
            seen[partition] = offset
        fresh.append(message)
    if not root and inputs and all(origin in watermarks for origin in range(inputs)):
        least = min(watermarks[origin] for origin in range(inputs))
        watermark = max(watermark or 0, least)
    moved = msgspec.structs.replace(
        position,
        next_offset=expected,
        seen=seen,
        watermarks=watermarks,
        inputs=inputs,
        watermark_ms=watermark,
    )
    return Advance(moved, fresh, repeated)
