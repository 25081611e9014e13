"""From a subscription's history to its billing periods: what is to be rated, on which plan. Pure.

`billing_periods(subscription, plans, by=...)` is the seam that rating, previews and simulations
share: a history and the plans that it names in, periods with their plans out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from common.periods import Period, Recurrence, periods
from rating.history import Segment, Terms, Timeline
from rating.parts.period import BillingPeriod, Piece
from rating.plan import Plan
from rating.prices.fields import FieldError
from rating.subscription import Subscription


class PlanKey(NamedTuple):
    """Which variant of which version: in a currency, with the tenant's own prices (by slug, as
    canonical JSON)."""

    plan: str
    version: int
    currency: str
    overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PlanVersion:
    """A published plan, as it is for a subscription. `units`: of its meters, as they were when it
    was published. `overrides`: the tenant's own prices in it, by slug. `tolerated`: what a new plan
    or price would be refused for."""

    slug: str
    version: int
    plan: Plan
    units: Mapping[str, str]
    overrides: tuple[tuple[str, str], ...] = ()
    tolerated: tuple[FieldError, ...] = ()


Plans = Mapping[PlanKey, PlanVersion]
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Stay:
    """[`start`, `end`) on one variant of a plan without a pause; `end` None: open."""

    start: datetime
    end: datetime | None
    plan: PlanVersion
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Billed:
    """A billing period with the plan that it is billed by."""

    plan: PlanVersion
    billing: BillingPeriod


def key_of(terms: Terms, currency: str) -> PlanKey:
    """The variant that terms are about."""
    return PlanKey(terms.plan, terms.version, currency, terms.overrides)


def keys_of(subscription: Subscription) -> set[PlanKey]:
    """All variants that a subscription was, is or will be on."""
    return {
        key_of(segment.terms, subscription.currency) for segment in subscription.timeline.segments
    }


def stays(subscription: Subscription, plans: Plans) -> list[Stay]:
    """Where the subscription is on which plan, in order; pauses are the holes."""
    made: list[Stay] = []
    for segment in subscription.timeline.segments:
        if segment.terms.paused:
            continue
        plan = plans[key_of(segment.terms, subscription.currency)]
        if made and made[-1].end == segment.start and made[-1].plan is plan:
            made[-1] = Stay(made[-1].start, segment.end, plan, (*made[-1].segments, segment))
        else:
            made.append(Stay(segment.start, segment.end, plan, (segment,)))
    return made


def recurrence_of(subscription: Subscription, plan: Plan) -> Recurrence:
    """The plan's billing periods, for this subscription."""
    return plan.interval.recurrence(
        start=subscription.start, anchor_day=subscription.anchor_day, zone=subscription.zone
    )


def billing_periods(
    subscription: Subscription,
    plans: Plans,
    *,
    by: datetime,
    spans: Sequence[Span] | None = None,
) -> list[Billed]:
    """The billing periods that have begun by `by` (also the one that begins just then), in order.

    With `spans`, only those that share an instant with one of them, and the other parts of the
    whole periods that those belong to: what is off a whole period is off all its parts.
    """
    until = by + timedelta(microseconds=1)
    since = min((start for start, _ in spans), default=None) if spans is not None else None
    if spans is not None and since is None:
        return []
    timeline = subscription.timeline
    entered = _entered(timeline)
    found: list[Billed] = []
    for stay in stays(subscription, plans):
        if stay.start >= until:
            break
        recurrence = recurrence_of(subscription, stay.plan.plan)
        first = None if since is None else recurrence.around(since)[0]
        if first is not None and stay.end is not None and stay.end <= first:
            continue
        for period, is_trial in _periods(subscription, stay, recurrence, until, first):
            found.append(
                Billed(
                    stay.plan,
                    BillingPeriod(
                        period=period,
                        currency=subscription.currency,
                        recurrence=recurrence,
                        entered=entered[stay.plan.slug],
                        pieces=tuple(_pieces(stay.segments, period)),
                        is_trial=is_trial,
                        add_ons_since=_add_ons_since(timeline, stay.plan),
                    ),
                )
            )
    return found if spans is None else _affected(found, spans)


def periods_begun(subscription: Subscription, plans: Plans, by: datetime) -> int:
    """How many whole periods the subscription's stays reach into by `by`; cuts not counted."""
    begun = 0
    for stay in stays(subscription, plans):
        if stay.start <= by:
            recurrence = recurrence_of(subscription, stay.plan.plan)
            last = by if stay.end is None else min(by, stay.end)
            begun += recurrence.index(last) - recurrence.index(stay.start) + 1
    return begun


def next_begin(subscription: Subscription, plans: Plans, by: datetime) -> datetime | None:
    """When the first billing period begins that has not begun by `by`; None: none will."""
    for stay in stays(subscription, plans):
        if stay.start > by:
            return stay.start
        if stay.end is not None and stay.end <= by:
            continue
        recurrence = recurrence_of(subscription, stay.plan.plan)
        for period, _ in _periods(
            subscription, stay, recurrence, recurrence.around(by)[1] + timedelta(microseconds=1), by
        ):
            if period.start > by:
                return period.start
    return None


def next_rating(subscription: Subscription, plans: Plans, by: datetime) -> datetime | None:
    """When what it owes changes next after `by` though nothing is used: a billing period begins, or
    a price of levels ends, which counts to its last report until then. None: never."""
    found = [next_begin(subscription, plans, by)]
    if holds_levels(subscription, plans):
        at_that_time = [(by, by + timedelta(microseconds=1))]
        for one in billing_periods(subscription, plans, by=by, spans=at_that_time):
            for price in one.plan.plan.all_prices:
                if price.holds_levels:
                    found += [end for _, end in one.billing.held(price.add_on, price.window)]
    return min((at for at in found if at is not None and at > by), default=None)


def holds_levels(subscription: Subscription, plans: Plans) -> bool:
    """Whether it must be rated when a price ends, though nothing is used."""
    return any(plans[key].plan.holds_levels for key in keys_of(subscription))


def cuts_of(subscription: Subscription, stay: Stay) -> list[datetime]:
    """Where the stay's periods are cut: by bill-now, and by the end of a trial."""
    trial_end = trial_end_of(subscription, stay)
    edges = {*subscription.timeline.cuts, *([trial_end] if trial_end is not None else [])}
    return sorted(
        edge for edge in edges if edge > stay.start and (stay.end is None or edge < stay.end)
    )


def trial_end_of(subscription: Subscription, stay: Stay) -> datetime | None:
    """When the trial of the stay's plan ends or ended, if it has one."""
    trial = stay.plan.plan.trial
    return None if trial is None else trial.end(subscription.start, subscription.zone)


def _periods(
    subscription: Subscription,
    stay: Stay,
    recurrence: Recurrence,
    until: datetime,
    since: datetime | None,
) -> Iterator[tuple[Period, bool]]:
    """Periods of a stay that begin before `until` and end after `since`, and whether each is a
    trial."""
    trial_end = trial_end_of(subscription, stay)
    for period in periods(
        recurrence,
        start=stay.start,
        end=stay.end,
        until=until,
        cuts=cuts_of(subscription, stay),
        since=since,
    ):
        yield period, trial_end is not None and period.start < trial_end


def _pieces(segments: Iterable[Segment], period: Period) -> Iterator[Piece]:
    for segment in segments:
        start = max(segment.start, period.start)
        end = period.end if segment.end is None else min(segment.end, period.end)
        if start < end:
            yield Piece(start, end, segment.terms.quantities, segment.terms.add_ons)


def _entered(timeline: Timeline) -> dict[str, datetime]:
    """Since when the subscription has been on each plan, whatever the version."""
    first: dict[str, datetime] = {}
    for segment in timeline.segments:
        if not segment.terms.paused:
            first.setdefault(segment.terms.plan, segment.start)
    return first


def _add_ons_since(timeline: Timeline, plan: PlanVersion) -> tuple[tuple[str, datetime], ...]:
    """Since when each of the plan's add-ons has first been on."""
    if not plan.plan.add_ons:
        return ()
    first: dict[str, datetime] = {}
    for segment in timeline.segments:
        if not segment.terms.paused and segment.terms.plan == plan.slug:
            for add_on in segment.terms.add_ons:
                first.setdefault(add_on, segment.start)
    return tuple(sorted(first.items()))


def _affected(found: Sequence[Billed], spans: Sequence[Span]) -> list[Billed]:
    """Those that share an instant with a span, and the other parts of their whole periods."""
    wholes = {
        one.billing.period.whole
        for one in found
        if any(
            one.billing.period.start < end and start < one.billing.period.end
            for start, end in spans
        )
    }
    return [one for one in found if one.billing.period.whole in wholes]
