"""What the check itself costs in the collector's process: no HTTP, decisions for many tenants."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

from bench.contract import About, Measurement, Repetition
from bench.load.events import tenant_key
from bench.site import Meter, Site
from common.contracts.decisions import Decision, State
from common.enforce import Book

HELD = 10_000
STATES: tuple[State, ...] = ("allow", "throttle", "deny")
CHECKS_A_SMALL_REQUEST = 10


class LocalCheck:
    """A dict, a few comparisons and, for a throttled tenant, one GCRA step."""

    abouts = (
        About(
            name="collector.book",
            family="stages",
            unit="check",
            what="the check without HTTP, 10,000 decisions held: allow, throttle, deny in turn",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        book = _book()
        checks = site.scale.small_requests * CHECKS_A_SMALL_REQUEST

        async def measure(_: int) -> Mapping[str, Measurement]:
            meter = Meter(site)
            refused = await asyncio.to_thread(_check, book, checks)
            seconds, cpu = meter.seconds(), meter.cpu_seconds()
            wanted = len([n for n in range(checks) if STATES[n % HELD % 3] == "deny"])
            faults = [] if refused >= wanted else [f"{refused} of {wanted} denied were refused"]
            return {
                "collector.book": Measurement(
                    units=checks, seconds=seconds, cpu_seconds=cpu, faults=faults
                )
            }

        yield measure


def _book() -> Book:
    book, now = Book(), datetime.now(UTC)
    for number in range(HELD):
        state = STATES[number % 3]
        book.apply(
            Decision(
                tenant=tenant_key(number),
                state=state,
                revision=number + 1,
                decided_at=now,
                status={"allow": 200, "throttle": 429, "deny": 429}[state],
                rate=Decimal(100) if state == "throttle" else None,
                burst=10 if state == "throttle" else None,
            )
        )
    return book


def _check(book: Book, checks: int) -> int:
    """How many were refused."""
    tenants = [tenant_key(number) for number in range(HELD)]
    book.heard(time.time_ns())
    refused = 0
    for number in range(checks):
        refused += not book.check(tenants[number % HELD], time.time_ns()).allowed
    return refused
