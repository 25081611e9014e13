"""Subscriptions: a tenant's history on plans, and which instants it may have. Pure.

All instants lie on slots of ten seconds, so that usage can be told apart at every boundary.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from common.periods import slot_of
from rating.history import Fact, Segment, Timeline, fold

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Instants outside are refused: they are mistakes, and each past period is rated."""
BILL_NOW_AHEAD: Final = timedelta(hours=1)
"""How far in the future a period may be split: clocks differ, and nobody bills next week now."""


class Refused(Exception):
    """The change cannot be. `code` is the API's error code; the message is a sentence. `path`:
    the field of the request that is to blame."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.code, self.path = code, path


@dataclass(frozen=True)
class Subscription:
    """A tenant's subscription with its whole history. `currency`, `anchor_day` and `zone` are the
    tenant's, and stay while it has subscriptions."""

    id: str
    tenant: str
    currency: str
    anchor_day: int
    zone: str
    facts: tuple[Fact, ...]

    @cached_property
    def timeline(self) -> Timeline:
        return fold(self.facts)

    @property
    def start(self) -> datetime:
        return self.timeline.start

    @property
    def end(self) -> datetime | None:
        return self.timeline.end

    @property
    def revision(self) -> int:
        """Of the last fact."""
        return max(fact.revision for fact in self.facts)

    def segment(self, now: datetime) -> Segment:
        """What holds at `now`; the first segment before the start, the last after the end."""
        found = self.timeline.at(now)
        if found is not None:
            return found
        return self.timeline.segments[0 if now < self.start else -1]

    def with_fact(self, fact: Fact) -> "Subscription":
        """The subscription as it is after one more fact."""
        return Subscription(
            self.id, self.tenant, self.currency, self.anchor_day, self.zone, (*self.facts, fact)
        )


def effective(at: datetime, path: str = "at") -> datetime:
    """The slot that an instant lies in; raises `Refused` where it cannot be meant."""
    if not EARLIEST <= at < LATEST:
        raise Refused("invalid_request", f"{path} must lie in the years 2000 to 2099", path)
    return slot_of(at)


def effective_span(start: datetime, end: datetime | None) -> tuple[datetime, datetime | None]:
    """`start` and `end` of a new subscription on their slots; raises `Refused`."""
    start = effective(start, "start")
    if end is None:
        return start, None
    end = effective(end, "end")
    if end <= start:
        raise Refused("invalid_request", "end must be at least ten seconds after start", "end")
    return start, end


def overlaps(
    one: tuple[datetime, datetime | None], other: tuple[datetime, datetime | None]
) -> bool:
    """Whether two half-open spans share an instant; an end of None is open."""
    (start, end), (other_start, other_end) = one, other
    return (end is None or other_start < end) and (other_end is None or start < other_end)


def plan_spans(timeline: Timeline) -> list[tuple[str, int, datetime, datetime | None]]:
    """(plan, version, from, to) of a timeline in order, pauses included."""
    spans: list[tuple[str, int, datetime, datetime | None]] = []
    for segment in timeline.segments:
        plan, version = segment.terms.plan, segment.terms.version
        if spans and spans[-1][:2] == (plan, version):
            spans[-1] = (plan, version, spans[-1][2], segment.end)
        else:
            spans.append((plan, version, segment.start, segment.end))
    return spans
