"""Batches on the wire: how one is written, what an answer means, how a bad one is split. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive events from `first_seq` on; none of them makes it a heartbeat.

    `sealed_through` is RFC 3339: everything that this node saw before then is in this batch or an
    earlier one.
    """

    node: str
    epoch: str
    first_seq: int
    sealed_through: str
    events: Sequence[bytes]

    @property
    def last_seq(self) -> int:
        """The last event's sequence; one less than `first_seq` for a heartbeat."""
        return self.first_seq + len(self.events) - 1

    def body(self) -> bytes:
        """The JSON of `POST /v1/batches`. The same batch always gives the same bytes."""
        return b'{"node":%b,"epoch":%b,"first_seq":%d,"sealed_through":%b,"events":[%b]}' % (
            msgspec.json.encode(self.node),
            msgspec.json.encode(self.epoch),
            self.first_seq,
            msgspec.json.encode(self.sealed_through),
            b",".join(self.events),
        )

    def halves(self, earlier_seal: str) -> tuple["Batch", "Batch"]:
        """Two batches with the same events. The first may not claim what the second brings."""
        middle = len(self.events) // 2
        return (
            Batch(self.node, self.epoch, self.first_seq, earlier_seal, self.events[:middle]),
            Batch(
                self.node,
                self.epoch,
                self.first_seq + middle,
                self.sealed_through,
                self.events[middle:],
            ),
        )


class Answer(msgspec.Struct, frozen=True):
    """What ingest says to a batch that it took."""

    next_seq: int
    decisions_revision: int | None = None


class Verdict(Enum):
    """What an answer means for the batch."""

    TAKEN = "taken"
    LATER = "later"
    BAD = "bad"


_BAD_STATUSES = frozenset({400, 413, 415, 422})


def verdict(status: int) -> Verdict:
    """The meaning of an HTTP status.

    Only a status that speaks of this very body is about the batch. All others (a token that
    expired, a route that is not deployed yet, an overload) may heal: the batch waits for that.
    """
    if 200 <= status < 300:
        return Verdict.TAKEN
    return Verdict.BAD if status in _BAD_STATUSES else Verdict.LATER
