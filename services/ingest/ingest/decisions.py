"""The newest throttle decision: nodes are told its revision, and come for it when they lag."""

from typing import Final

import msgspec


class _Decision(msgspec.Struct):
    """All that ingest needs of a decision, of whatever version it is: a decision that it cannot
    read must not keep usage out."""

    revision: int = 0


_decoder: Final = msgspec.json.Decoder(_Decision)


def decode_revision(data: bytes) -> int:
    """The revision in a record of throttle.decisions; 0 if there is none to be found."""
    try:
        return _decoder.decode(data).revision
    except (msgspec.DecodeError, ValueError, RecursionError):
        return 0


class NewestDecision:
    """The greatest revision heard so far; 0 before the first."""

    def __init__(self) -> None:
        self.revision = 0

    def note(self, _: str, revision: int | None) -> None:
        """Hear of a decision; None for one that was removed."""
        self.revision = max(self.revision, revision or 0)
