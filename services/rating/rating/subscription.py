"""Subscriptions: which plan's version a tenant is on, from when to when, and cut where.

All instants lie on slots of ten seconds, so that usage can be told apart at every boundary.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from common.periods import Period, next_slot, periods, slot_of

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Instants outside are refused: they are mistakes, and each past period is rated."""
BILL_NOW_AHEAD: Final = timedelta(hours=1)
"""How far in the future a period may be split: clocks differ, and nobody bills next week now."""


class Refused(Exception):
    """The change cannot be. `code` is the API's error code; the message is a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Subscription:
    """[`start`, `end`) on `plan` at `plan_version`; `end` None: open. `anchor_day` and `zone` are
    the tenant's. `cuts` (ascending) end one period and begin the next."""

    id: str
    tenant: str
    plan: str
    plan_version: int
    start: datetime
    end: datetime | None
    anchor_day: int
    zone: str
    cuts: tuple[datetime, ...] = field(default=())

    def periods(self, by: datetime) -> list[Period]:
        """The billing periods that have begun by `by`: also the one that begins just then."""
        return list(
            periods(
                anchor_day=self.anchor_day,
                zone=ZoneInfo(self.zone),
                start=self.start,
                end=self.end,
                until=by + timedelta(microseconds=1),
                cuts=self.cuts,
            )
        )


def effective_span(start: datetime, end: datetime | None) -> tuple[datetime, datetime | None]:
    """`start` and `end` of a new subscription on their slots; raises `Refused`."""
    for instant in (start, end):
        if instant is not None and not EARLIEST <= instant < LATEST:
            raise Refused("invalid_request", "instants must lie in the years 2000 to 2099")
    start = slot_of(start)
    if end is None:
        return start, None
    end = slot_of(end)
    if end <= start:
        raise Refused("invalid_request", "end must be at least ten seconds after start")
    return start, end


def overlaps(
    one: tuple[datetime, datetime | None], other: tuple[datetime, datetime | None]
) -> bool:
    """Whether two half-open spans share an instant; an end of None is open."""
    (start, end), (other_start, other_end) = one, other
    return (end is None or other_start < end) and (other_end is None or start < other_end)


def effective_end(subscription: Subscription, at: datetime) -> datetime:
    """When a subscription ends that is asked to end `at`. Asking twice is asking once."""
    if not EARLIEST <= at < LATEST:
        raise Refused("invalid_request", "at must lie in the years 2000 to 2099")
    end = slot_of(at)
    if subscription.end is not None and subscription.end != end:
        raise Refused(
            "conflict", f"the subscription ends at {subscription.end.isoformat()} already"
        )
    if end <= subscription.start:
        raise Refused("invalid_request", "a subscription must end after its start")
    return end


def effective_cut(
    subscription: Subscription, at: datetime, now: datetime
) -> tuple[datetime, datetime | None]:
    """(boundary, new cut) of a bill-now: the first slot at or after `at`, so that the period
    that ends there covers `at`. The new cut is None where a period ends already.

    Only the period that runs at `now`, or one that begins within `BILL_NOW_AHEAD`, can be split:
    what ended before may be on an invoice.
    """
    if not EARLIEST <= at < LATEST:
        raise Refused("invalid_request", "at must lie in the years 2000 to 2099")
    cut = next_slot(at)
    if cut > next_slot(now + BILL_NOW_AHEAD):
        raise Refused("cut_outside_period", "at lies more than an hour in the future")
    if subscription.end is not None and cut >= subscription.end:
        if cut == subscription.end:
            return cut, None
        raise Refused("cut_outside_period", "the subscription ends before at")
    if cut == subscription.start:
        raise Refused("cut_outside_period", "there is nothing to bill before the start")
    known = subscription.periods(max(now, cut))
    if any(cut == period.start for period in known):
        return cut, None
    running = next((period for period in known if period.start <= now < period.end), None)
    earliest = running.start if running is not None else subscription.start
    if cut < earliest:
        raise Refused(
            "cut_outside_period",
            f"at must not lie before {earliest.isoformat()}, where the running period begins",
        )
    return cut, cut
