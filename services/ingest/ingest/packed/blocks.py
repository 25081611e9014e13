"""A block: the first copies that one step found, as columns sorted by hash. Pure.

An identity is 16 bytes; as two big-endian numbers, `high` and `low`, it sorts as its bytes do.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.uint64]
Indices: TypeAlias = npt.NDArray[np.int64]

HASH_BYTES: Final = 16
ORIGIN_BYTES: Final = 12
DIGEST_BYTES: Final = 8
ID_BYTES: Final = HASH_BYTES + ORIGIN_BYTES + DIGEST_BYTES
"""Of an identity in a block, stored or in memory."""
INDEX_BITS: Final = 24
"""An event's number in its envelope shares 32 bits with the envelope's partition."""

_ORIGIN: Final = np.dtype([("offset", "<i8"), ("place", "<u4")])


class Block(NamedTuple):
    """Columns of the same length, sorted by (`high`, `low`), each identity once.

    `places`: partition * 2^24 + number of the event in the envelope at `offsets`.
    """

    high: Numbers
    low: Numbers
    offsets: npt.NDArray[np.int64]
    places: npt.NDArray[np.uint32]
    digests: Numbers

    @property
    def ids(self) -> int:
        return self.high.size

    def find(self, high: Numbers, low: Numbers) -> Indices:
        """Where each identity stands in the block; -1 where it does not."""
        at = self.high.searchsorted(high)
        found = np.full(high.size, -1, np.int64)
        open_ = np.flatnonzero(at < self.ids)
        while open_.size:
            # Identities that begin with the same 8 bytes stand next to each other.
            open_ = open_[self.high[at[open_]] == high[open_]]
            same = self.low[at[open_]] == low[open_]
            found[open_[same]] = at[open_[same]]
            open_ = open_[~same]
            at[open_] += 1
            open_ = open_[at[open_] < self.ids]
        return found

    def take(self, chosen: Any) -> "Block":
        """The rows that `chosen` (a slice, indices or a mask) selects, in its order."""
        return Block(*(column[chosen] for column in self))


class Packed(NamedTuple):
    """A block as it is stored."""

    ids: int
    first_hash: bytes
    last_hash: bytes
    hashes: bytes
    origins: bytes
    digests: bytes


def pack(block: Block) -> Packed:
    """`block`, which is not empty, as bytes."""
    hashes = np.column_stack((block.high, block.low)).astype(">u8").tobytes()
    origins = np.empty(block.ids, _ORIGIN)
    origins["offset"], origins["place"] = block.offsets, block.places
    return Packed(
        block.ids,
        hashes[:HASH_BYTES],
        hashes[-HASH_BYTES:],
        hashes,
        origins.tobytes(),
        block.digests.astype("<u8").tobytes(),
    )


def unpack(hashes: bytes, origins: bytes, digests: bytes) -> Block:
    """The block that `pack` made these bytes of, or the same slice of each."""
    high, low = split_hashes(hashes)
    origin = np.frombuffer(origins, _ORIGIN)
    return Block(
        high,
        low,
        origin["offset"].astype(np.int64),
        origin["place"].astype(np.uint32),
        np.frombuffer(digests, "<u8").astype(np.uint64),
    )


def unpack_origin(origin: bytes) -> tuple[int, int, int]:
    """(partition, offset, number) in 12 bytes."""
    offset, place = np.frombuffer(origin, _ORIGIN)[0].item()
    return place >> INDEX_BITS, offset, place & ((1 << INDEX_BITS) - 1)


def split_hashes(hashes: bytes) -> tuple[Numbers, Numbers]:
    """Identities in a row, as two columns of numbers."""
    both = np.frombuffer(hashes, ">u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def join(blocks: Sequence[Block]) -> Block:
    """One sorted block of several. Of an identity in more than one, the first block's stays."""
    if len(blocks) == 1:
        return blocks[0]
    columns: list[Any] = [np.concatenate(same) for same in zip(*blocks, strict=True)]
    high, low = columns[:2]
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    again = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    order = order[np.concatenate(([True], ~again))] if again.any() else order
    return Block(*(column[order] for column in columns))
