"""From rules and facts to a decision: level-triggered, one pure function.

The decision is computed whole from what is true now. There is nothing to unset: a rule that was
deleted, a limit that was raised, a window that ended and a usage that was corrected all free the
tenant by the same evaluation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from common.contracts.decisions import Decision, OnFailure, Shadow, State
from common.money import plain
from throttler.rules import Deny, Rule, Throttle
from throttler.windows import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Held = tuple[str, int, datetime]
"""A rule that has taken hold: slug, version, start of its window."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one tenant.

    windows  by rule slug: the rule's current window.
    usage    by rule slug: the meter's value in that window; None or absent counts as 0.
    held     the rules that held at the last evaluation (for hysteresis).
    as_of    everything received before it is in `usage`; None while nothing is known.
    """

    tenant: str
    windows: Mapping[str, Window]
    usage: Mapping[str, Decimal | None] = field(default_factory=dict)
    held: frozenset[Held] = frozenset()
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One rule against the facts. `usage` and `limit` are in the meter's unit."""

    rule: Rule
    window: Window
    usage: Decimal
    holds: bool

    @property
    def state(self) -> State:
        if not self.holds:
            return "allow"
        return "deny" if isinstance(self.rule.action, Deny) else "throttle"

    @property
    def status(self) -> int:
        """What a request gets that this rule refuses."""
        return self.rule.action.status if isinstance(self.rule.action, Deny) else 429

    @property
    def window_end(self) -> datetime | None:
        """When the usage starts again from 0; None when that frees nobody (limit 0)."""
        return self.window.end if self.rule.limit > 0 else None

    @property
    def held(self) -> Held:
        return (self.rule.slug, self.rule.version, self.window.start)


def evaluate(rules: Iterable[Rule], facts: Facts) -> list[Evaluation]:
    """Each rule against the facts, in the order given."""
    return [_evaluation(rule, facts) for rule in rules]


def decide(rules: Iterable[Rule], facts: Facts, now: datetime) -> Decision:
    """The decision for one tenant at `now`; its `revision` is 0 until the store gives one.

    The strictest rule in force wins: deny before throttle, a lower rate before a higher one, a
    later end before an earlier one. Rules in shadow mode are listed and never block.
    """
    evaluations = evaluate(rules, facts)
    enforced = [one for one in evaluations if one.rule.mode == "enforce"]
    strictest = min((one for one in enforced if one.holds), key=_strictness, default=None)
    common: dict[str, Any] = {
        "tenant": facts.tenant,
        "revision": 0,
        "decided_at": now,
        "as_of": facts.as_of,
        "on_failure": _strictest_policy(one.rule.on_failure for one in enforced),
        "shadow": tuple(_shadow(one) for one in evaluations if one.rule.mode == "shadow"),
    }
    if strictest is None:
        reason = "usage is below every limit" if enforced else "no rule applies"
        return Decision(state="allow", reason=reason, **common)
    rule = strictest.rule
    throttle = rule.action if isinstance(rule.action, Throttle) else None
    return Decision(
        state=strictest.state,
        status=strictest.status,
        rate=throttle.rate if throttle else None,
        burst=throttle.burst if throttle else None,
        rule=rule.slug,
        rule_version=rule.version,
        reason=_reason(strictest),
        meter=rule.meter,
        usage=strictest.usage,
        limit=rule.limit,
        window=rule.window,
        window_end=strictest.window_end,
        expires_at=strictest.window_end,
        retry_after=_retry_after(strictest, now),
        **common,
    )


def held_by(evaluations: Iterable[Evaluation]) -> frozenset[Held]:
    """What the next evaluation needs to remember: held rules that have a hysteresis."""
    return frozenset(
        one.held for one in evaluations if one.holds and one.rule.release_below < one.rule.limit
    )


def same_meaning(one: Decision, other: Decision) -> bool:
    """Whether two decisions let the same requests through, for the same reason and as long.

    Usage may differ: it grows with every event, and a decision is not news until it changes what
    an edge does.
    """
    return _meaning(one) == _meaning(other)


def _meaning(decision: Decision) -> Decision:
    return msgspec.structs.replace(
        decision,
        revision=0,
        decided_at=datetime.min,
        as_of=None,
        usage=None,
        reason="",
        retry_after=None,
        shadow=tuple(msgspec.structs.replace(one, usage=None) for one in decision.shadow),
    )


def _evaluation(rule: Rule, facts: Facts) -> Evaluation:
    window = facts.windows[rule.slug]
    usage = facts.usage.get(rule.slug) or Decimal(0)
    held_before = (rule.slug, rule.version, window.start) in facts.held
    threshold = min(rule.release_below, rule.limit) if held_before else rule.limit
    return Evaluation(rule=rule, window=window, usage=usage, holds=usage >= threshold)


def _strictness(one: Evaluation) -> tuple[int, Decimal, timedelta, int, str]:
    """Sorts the strictest first."""
    action = one.rule.action
    end = one.window_end or datetime.max.replace(tzinfo=UTC)
    return (
        0 if isinstance(action, Deny) else 1,
        action.rate if isinstance(action, Throttle) else Decimal(0),
        _EPOCH - end,
        {403: 0, 402: 1}.get(one.status, 2),
        one.rule.slug,
    )


def _strictest_policy(policies: Iterable[OnFailure]) -> OnFailure | None:
    """The policy that lets least through; None without rules."""
    order = {"fail_closed": 0, "safe_rate": 1, "last_known": 2, "fail_open": 3}

    def strictness(policy: OnFailure) -> tuple[int, Decimal, int]:
        # A longer trust in the last decision is the stricter: afterwards the edge is open.
        return order[policy.kind], policy.rate or Decimal(0), -(policy.max_age_seconds or 0)

    return min(policies, key=strictness, default=None)


def _shadow(one: Evaluation) -> Shadow:
    throttle = one.rule.action if one.holds and isinstance(one.rule.action, Throttle) else None
    return Shadow(
        rule=one.rule.slug,
        rule_version=one.rule.version,
        state=one.state,
        status=one.status if one.holds else 200,
        meter=one.rule.meter,
        usage=one.usage,
        limit=one.rule.limit,
        window=one.rule.window,
        window_end=one.window_end if one.holds else None,
        rate=throttle.rate if throttle else None,
        burst=throttle.burst if throttle else None,
    )


def _retry_after(one: Evaluation, now: datetime) -> int | None:
    """Whole seconds (>= 1) until another try makes sense; None when no time is known."""
    action = one.rule.action
    if isinstance(action, Throttle):
        return max(1, int((1 / action.rate).to_integral_value(rounding=ROUND_CEILING)))
    if one.window_end is None:
        return None
    return max(1, -((now - one.window_end) // timedelta(seconds=1)))


def _reason(one: Evaluation) -> str:
    """One sentence for people; the numbers are those at the time of the decision."""
    period = one.rule.window.replace("_", " ")
    return (
        f"rule {one.rule.slug}: {plain(one.usage)} of {plain(one.rule.limit)} "
        f"{one.rule.meter} used in this {period}"
    )
