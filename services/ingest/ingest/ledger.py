"""The ledger: which copy of an identity was the first. A protocol, with the contract that
tests/integration/ingest/ledger_contract.py holds every implementation to.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol


class Verdict(IntEnum):
    """What an event is, by the ledger."""

    FRESH = 0
    DUPLICATE = 1
    """Counted before, with the same content."""
    CONFLICT = 2
    """Counted before, with other content."""


class Claim(NamedTuple):
    """An event that would be the first of its identity.

    `day`: UTC days since 1970. `offset`, `number`: the envelope in usage.received, and the event's
    number among its events. `stamped`: the event has no time of its own, so a copy may lie on a
    neighbouring day. `shard`: of its source (`shard_of`), the same wherever a copy arrives.
    """

    day: int
    identity: bytes
    digest: bytes
    offset: int
    number: int
    stamped: bool
    shard: int


class Ledger(Protocol):
    """Remembers, for each identity and day, the origin and the digest of the first copy."""

    async def admit(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[Verdict]:
        """Judge claims from input `partition`, and remember the fresh ones in transaction `tx`.

        An event is FRESH exactly when the ledger holds its own origin, so the same claims get
        the same verdicts again, in this transaction and later. Among several claims of one
        identity in a call, the one with the lowest (offset, number) goes first.
        """
        ...

    async def decided(self, tx: Any, partition: int, claims: Sequence[Claim]) -> list[bool]:
        """Which of the claims are FRESH, from what is remembered; remembers nothing."""
        ...

    async def forget_before(self, tx: Any, day: int) -> int:
        """Forget the days before `day`, at most some at a time; returns how many identities."""
        ...
