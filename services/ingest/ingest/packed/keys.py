"""Fingerprints of a day's identities, and the block that holds each. Pure.

A key is 8 bytes: the first 40 bits of an identity and 24 bits that name its block, so that a sorted
array answers both questions. A fingerprint that is absent is certainly new; one that is present
has to be confirmed in its block.
"""

from typing import Final

import numpy as np

from ingest.packed.blocks import Indices, Numbers

_BLOCK_BITS: Final = 24
BLOCKS_MAX: Final = 1 << _BLOCK_BITS
_BLOCK: Final = np.uint64(BLOCKS_MAX - 1)
_FINGERPRINT: Final = ~_BLOCK
KEY_BYTES: Final = 8


class Keys:
    """A bag of keys in sorted runs, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[Numbers] = []

    def __len__(self) -> int:
        return sum(run.size for run in self._runs)

    def add(self, high: Numbers, block: int) -> None:
        """Add identities of a block, sorted by `high`."""
        if high.size:
            self._append((high & _FINGERPRINT) | np.uint64(block))

    def add_many(self, high: Numbers, blocks: Indices) -> None:
        """Add identities in any order, each with its block."""
        if high.size:
            self._append(np.sort((high & _FINGERPRINT) | blocks.astype(np.uint64)))

    def candidates(self, high: Numbers) -> tuple[Indices, Indices]:
        """Pairs of an index in `high` and a block that may hold its identity.

        Any order of `high` is right; a sorted one is several times as fast.
        """
        wanted = high & _FINGERPRINT
        indices, blocks = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for run in self._runs:
            at = run.searchsorted(wanted)
            open_ = np.flatnonzero(at < run.size)
            while open_.size:
                keys = run[at[open_]]
                same = (keys & _FINGERPRINT) == wanted[open_]
                open_ = open_[same]
                indices.append(open_)
                blocks.append((keys[same] & _BLOCK).astype(np.int64))
                at[open_] += 1
                open_ = open_[at[open_] < run.size]
        return np.concatenate(indices), np.concatenate(blocks)

    def _append(self, run: Numbers) -> None:
        self._runs.append(run)
        while len(self._runs) > 1 and self._runs[-2].size < 2 * self._runs[-1].size:
            both = np.concatenate(self._runs[-2:])
            both.sort(kind="stable")  # merges: it is fastest on what is sorted in parts
            self._runs[-2:] = [both]
