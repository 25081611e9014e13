"""The body of POST /v1/batches: a frame and the events in it. Pure."""

from typing import Final

import msgspec

from common.events import BodyError, WholeElements, limits, parse_time_ms
from common.events.validate import attribute_problem
from ingest.accept import Frame

SEQUENCE_MAX: Final = 2**53
"""Sequence numbers stay exact in every JSON reader."""


class _Body(msgspec.Struct):
    node: str
    epoch: str
    first_seq: int
    events: list[msgspec.Raw]
    sealed_through: str | None = None


_decoder: Final = msgspec.json.Decoder(_Body)


def parse_batch(body: bytes) -> tuple[Frame, WholeElements]:
    """The frame and the elements, as untouched bytes. Raises `BodyError` 400 or 413."""
    try:
        batch = _decoder.decode(body)
    except RecursionError:
        raise BodyError(400, "too_deep", "an event is nested too deeply to be read") from None
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except ValueError as error:
        raise BodyError(400, "invalid_json", f"the body is not JSON: {error}") from None
    for name, value in (("node", batch.node), ("epoch", batch.epoch)):
        if (problem := attribute_problem(value)) is not None:
            raise invalid(f"{name} {problem}")
    if not 1 <= batch.first_seq <= SEQUENCE_MAX - len(batch.events):
        raise invalid("first_seq must be at least 1, and the last sequence number below 2^53")
    if len(batch.events) > limits.BODY_EVENTS:
        raise BodyError(413, "too_many_events", f"a batch may hold {limits.BODY_EVENTS} events")
    sealed_through_ms = None
    if batch.sealed_through is not None:
        try:
            sealed_through_ms = parse_time_ms(batch.sealed_through)
        except ValueError as error:
            raise invalid(f"sealed_through is {error}") from None
    frame = Frame(batch.node, batch.epoch, batch.first_seq, sealed_through_ms)
    return frame, WholeElements(map(bytes, batch.events))


def invalid(detail: str) -> BodyError:
    """The answer to a frame that cannot be used."""
    return BodyError(400, "invalid_batch", detail)
