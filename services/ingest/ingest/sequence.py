"""A node's sequence: which numbers are new, which were taken before, which are missing. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec

GAPS_MAX: Final = 1000
"""Open gaps tracked of a node and epoch."""

Range = tuple[int, int]
"""Sequence numbers from the first to the last, both included."""


class Place(IntEnum):
    """What a sequence number turns out to be."""

    NEW = 0
    TAKEN = 1
    CONFLICT = 2
    """Taken before, with other content."""
    TOO_MANY_GAPS = 3


class NodeSequence(msgspec.Struct, frozen=True):
    """What is taken of a (node, epoch): all below `next_seq` but the `gaps`, in ascending order."""

    next_seq: int = 1
    gaps: tuple[Range, ...] = ()

    def is_taken(self, seq: int) -> bool:
        """Whether `seq` was received before."""
        return seq < self.next_seq and not self._in_gap(seq)

    def _in_gap(self, seq: int) -> bool:
        at = bisect_right(self.gaps, (seq, self.next_seq)) - 1
        return at >= 0 and self.gaps[at][0] <= seq <= self.gaps[at][1]


def place(
    state: NodeSequence, first_seq: int, digests: Sequence[bytes], known: Mapping[int, bytes]
) -> tuple[NodeSequence, list[Place]]:
    """Place the elements `first_seq`, `first_seq` + 1, ... with their content `digests`.

    `known`: digests of sequence numbers taken before, as far as they are still remembered; a
    number whose digest was forgotten counts as the same element. Returns the new state and what
    each element is.
    """
    if not digests:
        return state, []
    after = _take(state, first_seq, first_seq + len(digests) - 1)
    bearable = len(after.gaps) <= max(GAPS_MAX, len(state.gaps))
    if first_seq >= state.next_seq:  # nothing of it was there before
        new = Place.NEW if bearable else Place.TOO_MANY_GAPS
        return (after if bearable else state), [new] * len(digests)
    places = []
    for seq, digest in enumerate(digests, first_seq):
        if not state.is_taken(seq):
            places.append(Place.NEW if bearable else Place.TOO_MANY_GAPS)
        else:
            same = known.get(seq, digest) == digest
            places.append(Place.TAKEN if same else Place.CONFLICT)
    return after if bearable else state, places


def _take(state: NodeSequence, first: int, last: int) -> NodeSequence:
    gaps: list[Range] = []
    for low, high in state.gaps:
        if high < first or low > last:
            gaps.append((low, high))
            continue
        if low < first:
            gaps.append((low, first - 1))
        if high > last:
            gaps.append((last + 1, high))
    if first > state.next_seq:
        gaps.append((state.next_seq, first - 1))
    return NodeSequence(max(state.next_seq, last + 1), tuple(gaps))


def runs(places: Sequence[Place]) -> list[Range]:
    """The runs of NEW elements, as (first, last) indices."""
    found: list[Range] = []
    for at, what in enumerate(places):
        if what is not Place.NEW:
            continue
        if found and found[-1][1] == at - 1:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found
