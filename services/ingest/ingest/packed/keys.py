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
_FILTER_IDS: Final = 8192


class Filter:
    """One bit for each beginning of a fingerprint: says of most absent ones that they are absent,
    at the price of one memory access where a search in millions of keys costs dozens."""

    def __init__(self, ids_max: int) -> None:
        """For up to `ids_max` fingerprints, at 8 bits or more for each."""
        self.ids_max = ids_max
        width = max(16, (8 * ids_max - 1).bit_length())
        self._shift = np.uint64(64 - width)
        self._bits = np.zeros(1 << (width - 3), np.uint8)

    @property
    def bytes_(self) -> int:
        return self._bits.nbytes

    def add(self, keys: Numbers) -> None:
        """Add fingerprints."""
        at = keys >> self._shift
        bits = np.left_shift(1, at & 7).astype(np.uint8)
        np.bitwise_or.at(self._bits, (at >> 3).astype(np.intp), bits)

    def may_hold(self, keys: Numbers) -> Indices:
        """Indices of the fingerprints that may have been added."""
        at = keys >> self._shift
        bits = self._bits[(at >> 3).astype(np.intp)] >> (at & 7).astype(np.uint8)
        return np.flatnonzero(bits & 1)


class Keys:
    """A bag of keys in sorted runs, each at least twice as long as the next, behind a filter."""

    def __init__(self) -> None:
        self._runs: list[Numbers] = []
        self._filter = Filter(_FILTER_IDS)
        self._ids = 0

    def __len__(self) -> int:
        return self._ids

    @property
    def bytes_(self) -> int:
        return self._ids * KEY_BYTES + self._filter.bytes_

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
        rows = self._filter.may_hold(high)
        wanted = high[rows] & _FINGERPRINT
        indices, blocks = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for run in self._runs:
            at = run.searchsorted(wanted)
            open_ = np.flatnonzero(at < run.size)
            while open_.size:
                keys = run[at[open_]]
                same = (keys & _FINGERPRINT) == wanted[open_]
                open_ = open_[same]
                indices.append(rows[open_])
                blocks.append((keys[same] & _BLOCK).astype(np.int64))
                at[open_] += 1
                open_ = open_[at[open_] < run.size]
        return np.concatenate(indices), np.concatenate(blocks)

    def _append(self, run: Numbers) -> None:
        self._runs.append(run)
        self._ids += run.size
        if self._ids > self._filter.ids_max:
            self._filter = Filter(2 * self._ids)
            for old in self._runs:
                self._filter.add(old)
        else:
            self._filter.add(run)
        while len(self._runs) > 1 and self._runs[-2].size < 2 * self._runs[-1].size:
            both = np.concatenate(self._runs[-2:])
            both.sort(kind="stable")  # merges: it is fastest on what is sorted in parts
            self._runs[-2:] = [both]
