"""How much a step takes at once: little when there is little to do, so that it is quick; much under
load, so that it is cheap. Pure; times are seconds of one clock.
"""

from collections.abc import Sequence
from typing import Final

from common.bus.types import Message
from common.contracts.control import is_control

GATHER_SECONDS: Final = 0.5
"""The longest that data wait for company, as a rule."""
REST: Final = 8
"""A stage rests so many times as long as its last step took. Few steps a second are cheap, because
what they write over and over is written once; and a process has several partitions, whose steps
share one interpreter."""
STEP_BYTES: Final = 8 * 2**20
"""A step with as much does not wait for more: until it ends, its events are objects in memory."""
NO_WAIT_SECONDS: Final = 0.001
"""Less than this is not waited for: a clock need not be able to tell it."""
CONTROL_SECONDS: Final = 0.2
"""Control records alone wait this long for company: a step costs a commit."""


class Gathering:
    """What waits for the next step of a partition, and when that step is due.

    Data wait `REST` times as long as the last step took, up to `gather_seconds`: most of a step's
    cost is by the row, and the events of a busy second meet in the same rows.
    """

    def __init__(
        self,
        now: float,
        *,
        idle_seconds: float,
        messages_max: int,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self.messages: list[Message] = []
        self.has_data = False
        self._idle_seconds, self._messages_max = idle_seconds, messages_max
        self._gather_seconds_max = gather_seconds
        self._bytes = 0
        self._stepped_at, self._gather_seconds = now, 0.0

    @property
    def room(self) -> int:
        """How many more messages the step may take; at least one."""
        return max(1, self._messages_max - len(self.messages))

    def take(self, messages: Sequence[Message]) -> None:
        """Add what was read."""
        self.messages += messages
        self._bytes += sum(len(message.value or b"") for message in messages)
        self.has_data = self.has_data or any(not is_control(message) for message in messages)

    def seconds_left(self, now: float) -> float:
        """How long until the step is due; 0 when it is."""
        if self._bytes >= STEP_BYTES or len(self.messages) >= self._messages_max:
            return 0.0
        if self.has_data:
            patience = self._gather_seconds
        elif self.messages:
            patience = CONTROL_SECONDS
        else:
            patience = self._idle_seconds
        left = self._stepped_at + patience - now
        return left if left > NO_WAIT_SECONDS else 0.0

    def stepped(self, began: float, now: float) -> None:
        """A step with everything that waited began at `began` and has ended."""
        self._stepped_at = now
        self._gather_seconds = min(REST * (now - began), self._gather_seconds_max)
        self.messages, self.has_data, self._bytes = [], False, 0
