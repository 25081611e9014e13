"""The decisions an edge holds, and the check of one request against them. Pure: no I/O, no clock.

The book is a dict: a check costs a look-up, a few comparisons and, for a throttled tenant, one
GCRA step. Times are Unix nanoseconds handed in by the caller.

Three questions, in this order:
1. Is the centre silent (no snapshot, delta or heartbeat for `silence_seconds`)? Then the
   decision's own failure policy answers.
2. Has the decision expired (its window ended)? Then the tenant is free: a new window starts
   with no usage, and the throttler speaks again as soon as there is some.
3. Otherwise the decision's state answers: allow, throttle at a rate, deny.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from common.contracts.decisions import Decision, OnFailure
from common.enforce.gcra import NANOSECONDS_PER_SECOND, Gcra
from common.enforce.verdict import ALLOWED, Verdict

DEFAULT_SILENCE_SECONDS = 30
DEFAULT_MAX_AGE_SECONDS = 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_ns(moment: datetime) -> int:
    """Unix nanoseconds of an aware datetime, exact."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


@dataclass(slots=True)
class _Entry:
    decision: Decision
    expires_ns: int | None
    window_end_ns: int | None
    limiter: Gcra | None
    allowed: Verdict


class Book:
    """Decisions by tenant; newer revisions replace older ones, never the other way round."""

    def __init__(self, *, silence_seconds: int = DEFAULT_SILENCE_SECONDS) -> None:
        self._silence_ns = silence_seconds * NANOSECONDS_PER_SECOND
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._safe: dict[tuple[str, str], tuple[OnFailure, Gcra]] = {}
        self._heard_ns: int | None = None
        self.revision = 0

    def __len__(self) -> int:
        return len(self._entries)

    def decisions(self) -> list[Decision]:
        """Everything held, for a snapshot on disk."""
        return [entry.decision for entry in self._entries.values()]

    def get(self, tenant: str, action: str = "all") -> Decision | None:
        entry = self._entries.get((tenant, action))
        return entry.decision if entry else None

    def replace(self, decisions: Iterable[Decision], revision: int | None = None) -> None:
        """Take a snapshot: what it does not name is forgotten. Limiters keep what was spent.

        `revision` is the snapshot's own; without it, the highest of its decisions.
        """
        before, self._entries = self._entries, {}
        self.revision = 0
        for decision in decisions:
            old = before.get((decision.tenant, decision.action))
            self._put(decision, old.limiter if old else None)
        self.revision = self.revision if revision is None else max(revision, self.revision)
        self._safe = {key: self._safe[key] for key in self._safe.keys() & self._entries.keys()}

    def apply(self, decision: Decision) -> bool:
        """Take one delta; False when the book holds the same or a newer revision of it."""
        old = self._entries.get((decision.tenant, decision.action))
        if old is not None and old.decision.revision >= decision.revision:
            return False
        self._put(decision, old.limiter if old else None)
        return True

    def heard(self, now_ns: int) -> None:
        """The centre spoke at `now_ns` (snapshot, delta or heartbeat).

        A book restored from disk is told the stored moment, so that ages go on counting.
        """
        self._heard_ns = now_ns

    def silent_ns(self, now_ns: int) -> int | None:
        """Nanoseconds since the centre last spoke; None when it never did."""
        return None if self._heard_ns is None else max(0, now_ns - self._heard_ns)

    def check(self, tenant: str, now_ns: int, action: str = "all", cost: int = 1) -> Verdict:
        """The verdict for one request of `tenant`; spends `cost` units when it is throttled."""
        entry = self._entries.get((tenant, action))
        if entry is None:
            return ALLOWED
        if self._heard_ns is None or now_ns - self._heard_ns > self._silence_ns:
            answer = self._without_centre(entry, now_ns, cost)
            if answer is not None:
                return answer
        if entry.expires_ns is not None and now_ns >= entry.expires_ns:
            return entry.allowed
        state = entry.decision.state
        if state == "allow":
            return entry.allowed
        if state == "deny":
            return _refused(entry, entry.decision.status, now_ns)
        return _limited(entry, entry.limiter, now_ns, cost)

    def _put(self, decision: Decision, limiter: Gcra | None) -> None:
        self._entries[decision.tenant, decision.action] = _Entry(
            decision=decision,
            expires_ns=None if decision.expires_at is None else unix_ns(decision.expires_at),
            window_end_ns=None if decision.window_end is None else unix_ns(decision.window_end),
            limiter=_limiter(limiter, decision),
            allowed=Verdict(
                allowed=True,
                decision=decision,
                reason=decision.reason if decision.state == "allow" else "the window has ended",
                shadow=tuple(s.rule for s in decision.shadow if s.state != "allow"),
            ),
        )
        self.revision = max(self.revision, decision.revision)

    def _without_centre(self, entry: _Entry, now_ns: int, cost: int) -> Verdict | None:
        """The failure policy's verdict; None when the last known decision still answers."""
        policy = entry.decision.on_failure
        if policy is None or policy.kind == "last_known":
            max_age = policy.max_age_seconds if policy else None
            limit_ns = (max_age or DEFAULT_MAX_AGE_SECONDS) * NANOSECONDS_PER_SECOND
            silent_ns = self.silent_ns(now_ns)
            return entry.allowed if silent_ns is not None and silent_ns > limit_ns else None
        if policy.kind == "fail_open":
            return entry.allowed
        if policy.kind == "fail_closed" or policy.rate is None:
            return Verdict(
                allowed=False,
                status=503,
                retry_after=1,
                decision=entry.decision,
                reason="the centre is silent and the rule fails closed",
            )
        key = (entry.decision.tenant, entry.decision.action)
        known = self._safe.get(key)
        if known is None or known[0] != policy:
            known = self._safe[key] = (policy, Gcra(policy.rate, policy.burst or 1))
        return _limited(entry, known[1], now_ns, cost)


def _limiter(old: Gcra | None, decision: Decision) -> Gcra | None:
    if decision.state != "throttle" or decision.rate is None:
        return None
    if old is None:
        return Gcra(Decimal(decision.rate), decision.burst or 1)
    old.retune(Decimal(decision.rate), decision.burst or 1)
    return old


def _limited(entry: _Entry, limiter: Gcra | None, now_ns: int, cost: int) -> Verdict:
    if limiter is None:
        return entry.allowed
    wait_ns = limiter.admit(now_ns, cost)
    if wait_ns == 0:
        return entry.allowed
    return Verdict(
        allowed=False,
        status=429,
        retry_after=None if wait_ns is None else _seconds(wait_ns),
        decision=entry.decision,
        reason=entry.decision.reason,
        shadow=entry.allowed.shadow,
    )


def _refused(entry: _Entry, status: int, now_ns: int) -> Verdict:
    end_ns = entry.window_end_ns
    return Verdict(
        allowed=False,
        status=status,
        retry_after=None if end_ns is None else _seconds(end_ns - now_ns),
        decision=entry.decision,
        reason=entry.decision.reason,
        shadow=entry.allowed.shadow,
    )


def _seconds(nanoseconds: int) -> int:
    return max(1, -(-nanoseconds // NANOSECONDS_PER_SECOND))
