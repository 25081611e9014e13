"""A correction of the past: other versions of a plan for a time, as facts of histories. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rating.billing import Span
from rating.changes import new_fact
from rating.history import Fact, Segment
from rating.subscription import Subscription


@dataclass(frozen=True)
class Correction:
    """Subscribers of `plan` are on `version` for a time, instead of one of `replaces` (empty: of
    any other version). What they are on outside stays."""

    plan: str
    version: int
    replaces: frozenset[int] = frozenset()

    def is_wrong(self, segment: Segment) -> bool:
        """Whether a segment is on a version that is to be replaced."""
        terms = segment.terms
        return (
            terms.plan == self.plan
            and terms.version != self.version
            and (not self.replaces or terms.version in self.replaces)
        )


def correct(
    subscription: Subscription,
    correction: Correction,
    spans: Iterable[Span],
    *,
    now: datetime,
    actor: str,
    reason: str,
) -> list[Fact]:
    """The facts that bring a correction about in `spans`; none where nothing is wrong."""

    def fact(of: Subscription, at: datetime, version: int) -> Fact:
        body = {"plan": correction.plan, "version": version, "quantities": {}}
        return new_fact(of, "plan", at, body, now=now, actor=actor, reason=reason)

    corrected = subscription
    for span in spans:
        end = span[1]
        corrected = _corrected(corrected, correction, span, fact)
        before, after = subscription.timeline.at(end), corrected.timeline.at(end)
        if before is not None and after is not None and before.terms != after.terms:
            # From the end on it is as it was.
            corrected = corrected.with_fact(fact(corrected, end, before.terms.version))
    known = {one.revision for one in subscription.facts}
    return [one for one in corrected.facts if one.revision not in known]


def with_facts(subscription: Subscription, facts: Iterable[Fact]) -> Subscription:
    """The subscription as it is after more facts."""
    for fact in facts:
        subscription = subscription.with_fact(fact)
    return subscription


def _corrected(
    subscription: Subscription,
    correction: Correction,
    span: Span,
    fact: Callable[[Subscription, datetime, int], Fact],
) -> Subscription:
    """With a fact wherever a wrong version begins to hold. Each fact reaches to the next change of
    plan, so one for every segment is an upper bound."""
    for _ in range(2 * len(subscription.facts) + 2):
        wrong = _first_wrong(subscription.timeline.segments, correction, span)
        if wrong is None:
            return subscription
        subscription = subscription.with_fact(fact(subscription, wrong, correction.version))
    raise AssertionError(f"the correction of {subscription.id} has no end")


def _first_wrong(
    segments: Sequence[Segment], correction: Correction, span: Span
) -> datetime | None:
    start, end = span
    for segment in segments:
        begins = max(segment.start, start)
        ends = end if segment.end is None else min(segment.end, end)
        if begins < ends and correction.is_wrong(segment):
            return begins
    return None
