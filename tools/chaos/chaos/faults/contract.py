"""What every fault can do."""

from typing import Protocol


class Missed(Exception):
    """The fault could not strike: what it was to hit is not there now. It counts for nothing."""


class Fault(Protocol):
    """A fault on the site. `begin` strikes and returns; what it does to time itself (a restart, one
    process after the other) it does before it returns. `heal` takes it back, as far as anybody has
    to; it may be called when `begin` was cancelled half-way, and twice."""

    async def begin(self) -> None:
        """Strike; raises `Missed` when there is nothing to hit."""
        ...

    async def heal(self) -> None:
        """Take it back."""
        ...
