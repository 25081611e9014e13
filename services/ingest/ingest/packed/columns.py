"""Claims as columns of numbers. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.ledger import Claim
from ingest.packed.blocks import INDEX_BITS, Block, Numbers, split_hashes


class Columns(NamedTuple):
    """Claims of one input partition: `rows` in their order, though not sorted; days, groups, and
    which of them are stamped."""

    rows: Block
    days: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    stamped: npt.NDArray[np.bool_]


def columns_of(claims: Sequence[Claim], partition: int, groups: int) -> Columns:
    """The columns of `claims` from input `partition`, with `groups` groups."""
    days, identities, digests, offsets, numbers, stamped, shards = zip(*claims, strict=True)
    high, low = split_hashes(b"".join(identities))
    rows = Block(
        high,
        low,
        np.array(offsets, np.int64),
        (np.array(numbers, np.uint32) | np.uint32(partition << INDEX_BITS)),
        _digests(b"".join(digests)),
    )
    return Columns(
        rows,
        np.array(days, np.int64),
        np.array(shards, np.int64) % groups,
        np.array(stamped, np.bool_),
    )


def _digests(digests: bytes) -> Numbers:
    return np.frombuffer(digests, "<u8").astype(np.uint64)
