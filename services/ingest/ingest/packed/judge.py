"""Which claims are fresh, given what the ledger holds of their identities. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.ledger import Verdict
from ingest.packed.blocks import Block, Indices, Numbers

Mask = npt.NDArray[np.bool_]
Verdicts = npt.NDArray[np.int8]


class Found(NamedTuple):
    """What the ledger holds of identities, row by row; where not `held`, nothing."""

    held: Mask
    offsets: npt.NDArray[np.int64]
    places: npt.NDArray[np.uint32]
    digests: Numbers

    @classmethod
    def nothing(cls, rows: int) -> "Found":
        return cls(
            np.zeros(rows, np.bool_),
            np.zeros(rows, np.int64),
            np.zeros(rows, np.uint32),
            np.zeros(rows, np.uint64),
        )

    def fill(self, wanted: Block, rows: Indices, block: Block) -> int:
        """Note which of the `rows` of `wanted` are in `block`; returns how many."""
        at = block.find(wanted.high[rows], wanted.low[rows])
        rows, at = rows[at >= 0], at[at >= 0]
        self.held[rows] = True
        self.offsets[rows] = block.offsets[at]
        self.places[rows] = block.places[at]
        self.digests[rows] = block.digests[at]
        return rows.size

    def own(self, rows: Block) -> Mask:
        """Which rows are the very ones that the ledger holds."""
        own: Mask = self.held & (self.offsets == rows.offsets) & (self.places == rows.places)
        return own


def order_of(rows: Block) -> Indices:
    """Sorts claims by identity, and those of one identity by their place in the log."""
    order = np.argsort(rows.high, kind="stable")
    high = rows.high[order]
    if (high[1:] == high[:-1]).any():
        order = np.lexsort((rows.places, rows.offsets, rows.low, rows.high))
    return order


def judge(rows: Block, found: Found) -> tuple[Verdicts, Mask]:
    """The verdicts on claims in the order of `order_of`, and which of them to remember: the first
    of each identity that the ledger does not hold."""
    first = np.ones(rows.ids, np.bool_)
    first[1:] = (rows.high[1:] != rows.high[:-1]) | (rows.low[1:] != rows.low[:-1])
    new = first & ~found.held
    leader = np.maximum.accumulate(np.where(first, np.arange(rows.ids), 0))
    same = np.where(found.held, found.digests, rows.digests[leader]) == rows.digests
    verdicts = np.where(same, Verdict.DUPLICATE, Verdict.CONFLICT).astype(np.int8)
    verdicts[new | found.own(rows)] = Verdict.FRESH
    return verdicts, new


def judge_by_neighbours(
    rows: Block, own_day: Found, before: Found, after: Found
) -> tuple[Verdicts, Mask]:
    """The verdicts on stamped claims whose first copy lies a day before or after, and which
    claims those are. One that was admitted on its own day stays what it is."""
    decided = (before.held | after.held) & ~own_day.own(rows)
    other = (before.held & (before.digests != rows.digests)) | (
        after.held & (after.digests != rows.digests)
    )
    return np.where(other, Verdict.CONFLICT, Verdict.DUPLICATE).astype(np.int8), decided
