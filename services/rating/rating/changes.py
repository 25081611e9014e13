"""Changes of a subscription: from what is asked to the fact that is recorded, or a refusal. Pure.

A change is checked against what holds at the instant from which it is to hold, whether that is
past or future. What was recorded for later stays, and goes on from what the change made of it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from common.events.rfc3339 import instant
from common.periods import SLOT, next_slot
from rating.billing import Plans, billing_periods, periods_begun
from rating.history import Fact, Kind, Terms, in_force
from rating.parts.coupon import read_coupon
from rating.plan import Plan
from rating.prices.fields import FieldError, Fields
from rating.subscription import BILL_NOW_AHEAD, Refused, Subscription, effective
from rating.variants import IDENTIFYING

MAX_FACTS: Final = 10_000
"""Of one subscription: all of them are read whenever it is rated."""
MAX_PERIODS: Final = 20_000
"""That may have begun by now: all of them are rated in one transaction when a fact is added."""


def require_few_periods(subscription: Subscription, plans: Plans, now: datetime) -> None:
    """Refuse a history with more billing periods than can be rated at once."""
    begun = periods_begun(subscription, plans, now)
    if begun > MAX_PERIODS:
        raise Refused(
            "invalid_request",
            f"{begun:,} billing periods would have begun by now; at most {MAX_PERIODS:,} can be",
            "at",
        )


def running_period_end(subscription: Subscription, plans: Plans, now: datetime) -> datetime:
    """When the whole billing period ends that runs at `now`; raises `Refused` where none does."""
    for one in billing_periods(subscription, plans, by=now, spans=[(now, now + SLOT)]):
        if one.billing.contains(now):
            return one.billing.period.whole_end
    raise Refused("invalid_request", "no billing period is running that could end", "at")


def new_fact(
    subscription: Subscription,
    kind: Kind,
    at: datetime,
    body: Mapping[str, Any],
    *,
    now: datetime,
    actor: str = "",
    reason: str = "",
) -> Fact:
    """The next fact of a subscription, which holds from `at`; checked for its instant alone."""
    at = effective(at)
    if len(subscription.facts) >= MAX_FACTS:
        raise Refused("conflict", f"the subscription has {MAX_FACTS:,} facts, and takes no more")
    if kind not in ("revoke", "end"):
        if at < subscription.start:
            raise Refused("invalid_request", "at lies before the subscription's start", "at")
        if subscription.end is not None and at >= subscription.end:
            raise Refused("conflict", f"the subscription ends at {instant(subscription.end)}", "at")
    return Fact(
        revision=subscription.revision + 1,
        kind=kind,
        at=at,
        body=dict(body),
        recorded_at=now,
        actor=actor,
        reason=reason,
    )


def require_possible(subscription: Subscription, fact: Fact, plan: Plan | None) -> None:
    """Refuse a fact that would say nothing, or that names what is not there. `plan`: the one that
    holds at the fact's instant, without it."""
    terms = subscription.segment(fact.at).terms
    body = fact.body
    match fact.kind:
        case "end":
            _require_end(subscription, fact)
        case "pause" | "resume":
            if terms.paused == (fact.kind == "pause"):
                state = "paused" if terms.paused else "not paused"
                raise Refused("conflict", f"the subscription is {state} at that time", "at")
        case "plan":
            if (terms.plan, terms.version) == (body["plan"], body["version"]):
                raise Refused(
                    "conflict",
                    f"the subscription is on {terms.plan} version {terms.version} at that time",
                    "plan",
                )
        case "quantity" if plan is not None and body["name"] not in plan.quantities:
            raise Refused(
                "invalid_request",
                f"plan {terms.plan} has no price of the quantity {body['name']}",
                "name",
            )
        case "add_on":
            _require_add_on(terms, fact, plan)
        case "override":
            _require_override(terms, fact, plan)
        case "one_off" if terms.paused:
            raise Refused("conflict", "the subscription is paused at that time", "at")
        case "revoke":
            _require_revocable(subscription, body["revision"])
        case _:
            pass


def _require_end(subscription: Subscription, fact: Fact) -> None:
    if subscription.end is not None:
        raise Refused(
            "conflict", f"the subscription ends at {instant(subscription.end)} already", "at"
        )
    if fact.at <= subscription.start:
        raise Refused("invalid_request", "a subscription must end after its start", "at")


def _require_add_on(terms: Terms, fact: Fact, plan: Plan | None) -> None:
    name, enabled = fact.body["add_on"], fact.body["enabled"]
    if plan is not None and name not in {add_on.slug for add_on in plan.add_ons}:
        raise Refused("invalid_request", f"plan {terms.plan} has no add-on {name}", "add_on")
    if (name in terms.add_ons) == enabled:
        raise Refused("conflict", f"{name} is {'on' if enabled else 'off'} at that time", "enabled")


def _require_override(terms: Terms, fact: Fact, plan: Plan | None) -> None:
    price, fields = fact.body["price"], fact.body.get("fields") or {}
    if plan is not None and price not in plan.slugs:
        raise Refused("invalid_request", f"plan {terms.plan} has no part {price}", "price")
    for name in IDENTIFYING:
        if name in fields:
            raise Refused("invalid_request", f"{name} says what is priced, and stays", "fields")


def _require_revocable(subscription: Subscription, revision: int) -> None:
    found = next((one for one in subscription.facts if one.revision == revision), None)
    if found is None:
        raise Refused("invalid_request", f"there is no revision {revision}", "revision")
    if found.kind in ("start", "revoke"):
        raise Refused("invalid_request", f"a {found.kind} cannot be revoked", "revision")
    if all(one.revision != revision for one in in_force(subscription.facts)):
        raise Refused("conflict", f"revision {revision} is revoked already", "revision")


def coupon_errors(body: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong with a coupon."""
    fields = Fields(body, "coupon", [])
    read_coupon(fields, set())
    return fields.errors


def effective_end(subscription: Subscription, at: datetime) -> datetime:
    """When a subscription ends that is asked to end `at`. Asking twice is asking once."""
    end = effective(at)
    if subscription.end is not None and subscription.end != end:
        raise Refused("conflict", f"the subscription ends at {instant(subscription.end)} already")
    if end <= subscription.start:
        raise Refused("invalid_request", "a subscription must end after its start")
    return end


def effective_cut(
    subscription: Subscription, plans: Plans, at: datetime, now: datetime
) -> tuple[datetime, datetime | None]:
    """(boundary, new cut) of a bill-now: the first slot at or after `at`, so that the period
    that ends there covers `at`. The new cut is None where a period ends already.

    Only the period that runs at `now`, or one that begins within `BILL_NOW_AHEAD`, can be split:
    what ended before may be on an invoice.
    """
    effective(at)
    cut = next_slot(at)
    if cut > next_slot(now + BILL_NOW_AHEAD):
        raise Refused("cut_outside_period", "at lies more than an hour in the future")
    if subscription.end is not None and cut >= subscription.end:
        if cut == subscription.end:
            return cut, None
        raise Refused("cut_outside_period", "the subscription ends before at")
    if cut == subscription.start:
        raise Refused("cut_outside_period", "there is nothing to bill before the start")
    found = billing_periods(
        subscription, plans, by=max(now, cut), spans=[(min(now, cut), max(now, cut) + SLOT)]
    )
    known = [one.billing.period for one in found]
    if any(cut == period.start for period in known):
        return cut, None
    running = next((period for period in known if period.start <= now < period.end), None)
    earliest = running.start if running is not None else subscription.start
    if cut < earliest:
        raise Refused(
            "cut_outside_period",
            f"at must not lie before {instant(earliest)}, where the running period begins",
        )
    segment = subscription.timeline.at(cut)
    if segment is not None and segment.terms.paused:
        raise Refused("cut_outside_period", "the subscription is paused at that time")
    return cut, cut
