"""How a contract is written to and read from the bus: JSON with a version that a reader checks."""

from typing import TypeVar

import msgspec

from common.bus.types import Message, Record


class UnknownVersion(Exception):
    """A record carries a version that this reader does not know.

    The consumer must stop: guessing at a meaning would count or price wrongly.
    """


class Contract(msgspec.Struct, kw_only=True, frozen=True):
    """Base of every struct on the bus. Readers ignore fields they do not know."""

    v: int = 1


C = TypeVar("C", bound=Contract)

_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="string")
_decoders: dict[type, msgspec.json.Decoder] = {}  # type: ignore[type-arg]


def encode(value: Contract) -> bytes:
    """JSON of `value`: decimals as strings and a fixed order, so equal values give equal bytes."""
    return _encoder.encode(value)


def decode(kind: type[C], data: bytes) -> C:
    """The struct in `data`; raises `UnknownVersion` or `msgspec.ValidationError`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    value: C = decoder.decode(data)
    if value.v != kind.__struct_defaults__[0]:
        raise UnknownVersion(f"{kind.__name__} version {value.v} is not known here")
    return value


def record(key: str, value: Contract, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    """`value` as a record under `key`."""
    return Record(key=key.encode(), value=encode(value), headers=headers)


def read(kind: type[C], message: Message) -> C:
    """The struct a message carries; a tombstone (no value) is the caller's business."""
    if message.value is None:
        raise ValueError(f"{message.topic}/{message.partition}@{message.offset} is a tombstone")
    return decode(kind, message.value)
