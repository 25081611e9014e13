"""The decisions in force on this node: in memory for the checks, on disk for the next start.

Memory first, then disk: a decision takes effect at once, also when the disk is slow or full. What
is on disk is never newer than what was in force.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from collector import metrics
from collector.decisions.store import DecisionStore
from common.contracts.decisions import Decision
from common.enforce import Book, Verdict, unix_ns

log = structlog.get_logger(__name__)

_HEARD_KEPT_EVERY_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """A decision with the Unix time (ns) at which it took effect here; 0: loaded from disk."""

    decision: Decision
    applied_ns: int


class Decisions:
    """Takes what the throttler says, answers checks. One event loop uses it."""

    def __init__(
        self,
        store: DecisionStore,
        *,
        silence_seconds: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.book = Book(silence_seconds=silence_seconds)
        self.loaded_revision = 0
        self._store = store
        self._now_ns = now_ns
        self._applied: dict[tuple[str, str], int] = {}
        self._heard_kept_ns = 0
        self._is_kept = True
        """Whether the disk has all that is in force; False after a write that failed."""
        kept = store.load()
        if kept is not None:
            self.book.replace(kept.decisions, kept.revision)
            self.book.heard(kept.heard_ns)
            self.loaded_revision = kept.revision

    @property
    def revision(self) -> int:
        """The revision in force; it never goes back."""
        return self.book.revision

    def silence_ns(self) -> int | None:
        """Nanoseconds since the throttler was heard last; None when it never was."""
        return self.book.silent_ns(self._now_ns())

    def held(self) -> list[Held]:
        """Every decision in force and when it took effect."""
        return [
            Held(decision, self._applied.get((decision.tenant, decision.action), 0))
            for decision in self.book.decisions()
        ]

    def check(self, tenant: str, action: str = "all", cost: int = 1) -> Verdict:
        """The verdict for one request: the decision for its action, then the one for all."""
        now_ns = self._now_ns()
        if action != "all":
            verdict = self.book.check(tenant, now_ns, action, cost)
            if not verdict.allowed:
                return _counted(verdict)
        return _counted(self.book.check(tenant, now_ns, "all", cost))

    def replace(self, decisions: Sequence[Decision], revision: int) -> bool:
        """Takes a snapshot; False when it is older than what is in force, which then stays."""
        if revision < self.revision:
            metrics.decisions_rollbacks.inc()
            log.error("decisions_rollback_refused", ours=self.revision, theirs=revision)
            return False
        now_ns = self._now_ns()
        for decision in decisions:
            before = self.book.get(decision.tenant, decision.action)
            if before is None or before.revision != decision.revision:
                self._note(decision, now_ns)
        self.book.replace(decisions, revision)
        self.book.heard(now_ns)
        self._keep(lambda: self._store.replace(decisions, self.revision, now_ns))
        return True

    def apply(self, decisions: Sequence[Decision], revision: int) -> None:
        """Takes a delta. What is not newer than what is in force changes nothing."""
        now_ns = self._now_ns()
        fresh = [decision for decision in decisions if self.book.apply(decision)]
        for decision in fresh:
            self._note(decision, now_ns)
        if revision >= self.revision:
            self.book.revision = revision
            self.book.heard(now_ns)
        heard_ns = now_ns - (self.book.silent_ns(now_ns) or 0)
        self._keep(lambda: self._store.apply(fresh, self.revision, heard_ns))

    def heartbeat(self, revision: int) -> None:
        """The throttler says that there is nothing new above `revision`.

        One that is behind us knows less than we do: its word does not keep decisions alive.
        """
        if revision < self.revision:
            return
        now_ns = self._now_ns()
        self.book.heard(now_ns)
        if now_ns - self._heard_kept_ns >= _HEARD_KEPT_EVERY_NS:
            self._keep(lambda: self._store.apply((), self.revision, now_ns))

    def _note(self, decision: Decision, now_ns: int) -> None:
        self._applied[decision.tenant, decision.action] = now_ns
        if decision.as_of is not None:
            staleness_ns = max(0, now_ns - unix_ns(decision.as_of))
            metrics.decision_staleness.observe(staleness_ns / 1e9)
        log.info(
            "decision_applied",
            tenant=decision.tenant,
            state=decision.state,
            rule=decision.rule,
            revision=decision.revision,
        )

    def _keep(self, write: Callable[[], None]) -> None:
        try:
            if self._is_kept:
                write()
            else:
                # A delta alone would leave a hole under its revision, and after a restart nobody
                # would ask for what is in there.
                heard_ns = self._now_ns() - (self.silence_ns() or 0)
                self._store.replace(self.book.decisions(), self.revision, heard_ns)
            self._is_kept = True
            self._heard_kept_ns = self._now_ns()
        except sqlite3.Error as error:
            self._is_kept = False
            log.error("decisions_not_kept", error=str(error))


def _counted(verdict: Verdict) -> Verdict:
    for rule in verdict.shadow:
        metrics.shadow_refusals.labels(rule=rule).inc()
    return verdict
