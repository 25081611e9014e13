"""What a batch may claim about completeness. Pure: times are Unix milliseconds, handed in.

A *seal* (time, seq) says: everything that this node saw before `time` has a sequence up to `seq`.
A batch that ends at `seq` may carry the newest seal whose sequence it reaches. The claim is honest
because a seal is no later than

- the moment before the last pass over the tailed logs that found nothing more to read, and
- the moment at which the oldest usage that is still on its way into the spool was received,

less a margin for the log's writer, whose line carries a time that is a little older than the write.
"""

from collections import deque

SEALS_MAX = 4096


class Seals:
    """The seals of one node, oldest first.

    `tailing` says whether a log is tailed: then nothing is sealed before its first full pass.
    """

    def __init__(self, *, tailing: bool, margin_ms: int) -> None:
        self._margin_ms = margin_ms
        self._read_until_ms: int | None = None if tailing else 2**62
        self._arriving: dict[int, int] = {}
        self._tokens = 0
        self._seals: deque[tuple[int, int]] = deque()

    def arrived(self, now_ms: int) -> int:
        """Usage was received at `now_ms` and is on its way to the disk; a token for `settled`."""
        self._tokens += 1
        self._arriving[self._tokens] = now_ms
        return self._tokens

    def settled(self, token: int) -> None:
        """That usage was committed, or refused to the one who sent it."""
        del self._arriving[token]

    def read_to_end(self, before_ms: int) -> None:
        """A pass over the logs that began at `before_ms` read and committed all there was."""
        self._read_until_ms = before_ms

    def take(self, now_ms: int, last_seq: int) -> None:
        """Makes a seal; `last_seq` is the last committed sequence, read after `now_ms`."""
        if self._read_until_ms is None:
            return
        # Tokens are in order of arrival, so the first one still there is the oldest.
        oldest = next(iter(self._arriving.values()), now_ms)
        at = min(now_ms, oldest, self._read_until_ms) - self._margin_ms
        if self._seals:
            newest_at, newest_seq = self._seals[-1]
            if at <= newest_at:
                return
            if newest_seq == last_seq:
                self._seals.pop()
        self._seals.append((at, last_seq))
        if len(self._seals) > SEALS_MAX:  # long offline: every second one will do
            self._seals = deque(list(self._seals)[1::2])

    def through(self, seq: int) -> int | None:
        """The newest time that a batch ending at `seq` may claim; None when there is none.

        Sequences are asked for in rising order: older seals are forgotten.
        """
        reached = None
        while self._seals and self._seals[0][1] <= seq:
            reached = self._seals.popleft()
        if reached is None:
            return None
        self._seals.appendleft(reached)
        return reached[0]
