"""What a bus is: append in order, read from an offset.

The contract suite in tests/support/bus_contract.py runs over every implementation.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class BusError(Exception):
    """The bus did not confirm. The outcome of an append is unknown: it may yet arrive."""


class OffsetLost(BusError):
    """The offset asked for is not in the log: retention took what nobody had read, or the log is
    another one than it was (its end lies before the offset)."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """What is appended."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is read. `timestamp_ms`: Unix milliseconds, by the broker if `log_append_time`."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    log_append_time: bool
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The first header of that name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Reader(Protocol):
    """One partition, read in order. Belongs to one task."""

    async def read(self, max_messages: int, wait_seconds: float) -> list[Message]:
        """The next messages in offset order; empty when none came in time.

        Raises `OffsetLost` when the position has fallen out of the log.
        """
        ...

    async def seek(self, offset: int) -> None:
        """Read from `offset` next."""
        ...

    async def close(self) -> None:
        """Release the connection; never raises, returns within seconds."""
        ...


class Bus(Protocol):
    """The log. Offsets of a partition grow; retention and compaction leave holes."""

    async def start(self) -> None:
        """Connect, or raise `BusError`."""
        ...

    async def stop(self) -> None:
        """Release everything; returns within seconds whatever the broker does."""
        ...

    async def append(self, topic: str, batches: Mapping[int, Sequence[Record]]) -> None:
        """Append each partition's records in order, without holes, and wait for every ack.

        Raises `BusError` when not all were acknowledged in time: some prefix of each
        partition's records may be in the log, or arrive later.
        """
        ...

    async def reader(self, topic: str, partition: int, offset: int) -> Reader:
        """A reader of one partition that starts at `offset`."""
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has; raises `BusError` when it does not exist."""
        ...

    async def beginning_offset(self, topic: str, partition: int) -> int:
        """The first offset still kept."""
        ...

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        ...

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        """The first offset whose record the broker stamped at `timestamp_ms` or later; the end
        offset when there is none."""
        ...
