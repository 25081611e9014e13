"""The claims of a step, as columns: what the ledger is asked. Pure."""

from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from common.contracts.received import DIGEST_BYTES, IDENTITY_BYTES, STAMPED, EventColumns
from ingest.ledger import Claim


class Part(NamedTuple):
    """Claims of events of one envelope: those with the `numbers`, or all of them (None).
    `shards`: of their sources, or one for all."""

    offset: int
    events: EventColumns
    numbers: Sequence[int] | None
    shards: Sequence[int] | int


class Claims(Sequence[Claim]):
    """Claims by envelope, each envelope's by number. `spans[i]`: where those of part i stand."""

    def __init__(self, parts: Sequence[Part]) -> None:
        ids = [len(part.events if part.numbers is None else part.numbers) for part in parts]
        ends = np.cumsum(ids, dtype=np.int64)
        self.spans = list(zip((ends - ids).tolist(), ends.tolist(), strict=True))
        asked = [part for part, n in zip(parts, ids, strict=True) if n]
        self.identities = b"".join([_cells(p, p.events.identities, IDENTITY_BYTES) for p in asked])
        self.digests = b"".join([_cells(p, p.events.digests, DIGEST_BYTES) for p in asked])
        self.days = np.frombuffer(b"".join([_cells(p, p.events.days, 4) for p in asked]), "<i4")
        flags = np.frombuffer(b"".join([_cells(p, p.events.flags, 1) for p in asked]), np.uint8)
        self.stamped: npt.NDArray[np.bool_] = (flags & STAMPED) != 0
        self.offsets = np.repeat(np.array([part.offset for part in parts], np.int64), ids)
        self.numbers = np.concatenate(
            [np.empty(0, np.int64)]
            + [
                np.arange(n) if part.numbers is None else np.array(part.numbers, np.int64)
                for part, n in zip(parts, ids, strict=True)
            ]
        )
        self.shards = np.concatenate(
            [np.empty(0, np.int64)]
            + [
                np.full(n, part.shards, np.int64)
                if isinstance(part.shards, int)
                else np.array(part.shards, np.int64)
                for part, n in zip(parts, ids, strict=True)
            ]
        )

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Claim: ...
    @overload
    def __getitem__(self, at: slice) -> list[Claim]: ...
    def __getitem__(self, at: int | slice) -> Claim | list[Claim]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        return Claim(
            day=int(self.days[at]),
            identity=self.identities[at * IDENTITY_BYTES : (at + 1) * IDENTITY_BYTES],
            digest=self.digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES],
            offset=int(self.offsets[at]),
            number=int(self.numbers[at]),
            stamped=bool(self.stamped[at]),
            shard=int(self.shards[at]),
        )


def _cells(part: Part, column: bytes, width: int) -> bytes:
    """The cells of the claimed events in a column of cells of `width` bytes."""
    if part.numbers is None:
        return column
    return b"".join([column[n * width : (n + 1) * width] for n in part.numbers])
