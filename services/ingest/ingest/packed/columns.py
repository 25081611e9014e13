"""Claims as columns of numbers. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest.claims import Claims
from ingest.ledger import Claim
from ingest.packed.blocks import INDEX_BITS, Block, split_hashes


class Columns(NamedTuple):
    """Claims of one input partition: `rows` in their order, though not sorted; days, groups, and
    which of them are stamped."""

    rows: Block
    days: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    stamped: npt.NDArray[np.bool_]


def columns_of(claims: Sequence[Claim], partition: int, groups: int) -> Columns:
    """The columns of `claims` from input `partition`, with `groups` groups."""
    if isinstance(claims, Claims):
        identities, digests = claims.identities, claims.digests
        days, offsets, numbers = claims.days, claims.offsets, claims.numbers
        stamped, shards = claims.stamped, claims.shards
    else:
        of_each = list(zip(*claims, strict=True))
        identities, digests = b"".join(of_each[1]), b"".join(of_each[2])
        days, offsets, numbers, stamped, shards = (np.array(of_each[n]) for n in (0, 3, 4, 5, 6))
    high, low = split_hashes(identities)
    rows = Block(
        high,
        low,
        offsets.astype(np.int64),
        numbers.astype(np.uint32) | np.uint32(partition << INDEX_BITS),
        np.frombuffer(digests, "<u8").astype(np.uint64),
    )
    return Columns(rows, days.astype(np.int64), shards.astype(np.int64) % groups, stamped)
