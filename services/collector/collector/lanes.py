"""In which order the spool is sent when there is more than can leave at once. Pure.

After an outage new usage must not wait behind hours of old usage: decisions are made from it. So
what waits is cut in two: the *backlog*, oldest first, and the *fresh* events behind the cut, which
are the newest and all that come. Their batches take turns. To the centre the backlog is a gap in
the sequence that is known, and that closes from its lower end. What was taken beyond the backlog is
remembered as *ahead*.

    1 .. acked_seq | backlog ... | ahead | backlog ... | ahead | fresh ... next_seq - 1
                     waiting       taken   waiting       taken   waiting

With every further outage one more stretch can be left behind, up to `STRETCHES_MAX`: far fewer than
the gaps that ingest bears of a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BEHIND_EVENTS = 5_000
"""So many may wait in order, less than a second's work; with more of them there is a cut."""

FRESH_EVENTS = 2_000
"""So many of the newest are fresh at once: those of the last minute on a busy node, so that what
came while the centre was tried again does not wait for the whole backlog."""

STRETCHES_MAX = 50

Range = tuple[int, int]
"""Sequences from the first to the last, both included."""


def take(acked_seq: int, ahead: Sequence[Range], taken: Range) -> tuple[int, tuple[Range, ...]]:
    """What the centre has once it has `taken` as well: all up to a sequence, and ranges beyond.

    Ranges are in ascending order, disjoint, and do not touch each other or `acked_seq`.
    """
    merged: list[Range] = [(1, acked_seq)]
    for first, last in sorted([*ahead, taken]):
        before, end = merged[-1]
        if first <= end + 1:
            merged[-1] = (before, max(end, last))
        else:
            merged.append((first, last))
    return merged[0][1], tuple(merged[1:])


def waiting(acked_seq: int, ahead: Sequence[Range], next_seq: int) -> int:
    """How many events below `next_seq` the centre does not have."""
    return next_seq - 1 - acked_seq - sum(last - first + 1 for first, last in ahead)


@dataclass(slots=True)
class Lanes:
    """Whose turn it is. `cut` is the last sequence that is not fresh."""

    cut: int = 0
    fresh_was_last: bool = False

    def choose(
        self, acked_seq: int, ahead: Sequence[Range], next_seq: int, *, fresh_due: bool
    ) -> int:
        """The sequence behind which the next batch begins.

        `fresh_due`: fresh events have waited long enough for company.
        """
        tip = max(self.cut, ahead[-1][1] if ahead else acked_seq)
        if next_seq - 1 - tip > BEHIND_EVENTS and len(ahead) < STRETCHES_MAX:
            self.cut = tip = next_seq - 1 - FRESH_EVENTS
        has_backlog, has_fresh = acked_seq < tip, tip < next_seq - 1
        self.fresh_was_last = has_fresh and (
            not has_backlog or (fresh_due and not self.fresh_was_last)
        )
        return tip if self.fresh_was_last else acked_seq
