"""What has been sent on a ground so far: runs add up, so each is checked with all before it."""

import time

from bench.load.events import Kind, Traffic, Truth
from bench.metering import faults_of_books, faults_of_usage
from bench.site import Ground, Site

EXPECTED_RATE = 100_000
"""Events a second; a run's events carry the times of so long a stretch that ends now."""


def traffic(
    site: Site,
    events: int,
    *,
    per_request: int,
    kind: Kind = "events",
    during_seconds: float | None = None,
) -> Traffic:
    """Events of the last seconds, as a busy system sees them; with `during_seconds` those of the
    stretch that begins now, for a load that is paced over it."""
    now_ms = time.time_ns() // 1_000_000
    if during_seconds is not None:
        begin_ms, span_ms = now_ms, max(1, int(during_seconds * 1000))
    else:
        span_ms = max(1000, events * 1000 // EXPECTED_RATE)
        begin_ms = now_ms - span_ms
    return Traffic(
        seed=site.next_seed(),
        events=events,
        per_request=per_request,
        begin_ms=begin_ms,
        span_ms=span_ms,
        kind=kind,
        tenants=site.scale.tenants,
        groups=site.scale.groups,
        sources=32 if kind == "events" else 8,
    )


class Books:
    """The truth of all runs together. `sent`: elements, repeats too; `distinct`: those that
    count."""

    def __init__(self, tenants: int) -> None:
        self.truth = Truth.zero(tenants)
        self.sent = self.distinct = 0

    def add(self, truth: Truth, sent: int) -> None:
        self.truth.add(truth)
        self.sent += sent
        self.distinct += sum(truth.counts)

    async def faults(self, ground: Ground, load: Traffic) -> list[str]:
        """What usage and accounting tell otherwise."""
        found = await faults_of_usage(ground, self.truth, load)
        return found + await faults_of_books(ground, self.sent, self.distinct)
