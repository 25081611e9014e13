"""Bringing a reviewed catalog about: meters, then all plans in one transaction, then rules.

Every part has been checked before the first is written, and only what differs is written. Each
step may be repeated: a run that died leaves meters that are not priced yet, or plans without their
rules, and the next run goes on. Meters first, because a published plan must find them and cannot
be taken back; rules last, because they may hold those who are on a new plan.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from tollgate import calls
from tollgate.call import Call
from tollgate.catalog.files import Catalog
from tollgate.catalog.review import Review, plans_body
from tollgate.client import Client
from tollgate.errors import ProblemError

T = TypeVar("T")
PAUSE_SECONDS: Final = 0.3
LEARNS: Final = frozenset(
    f"unknown_{kind}" for kind in ("meter", "plan", "tenant", "subscription", "reference")
)
"""Refusals that heal when a service has learnt what another one has taken."""
Done = tuple[str, str, str]
"""(kind, name, what happened)."""


class Patience:
    """Performs calls, again while a service does not know yet what another one has taken."""

    def __init__(self, client: Client, seconds: float) -> None:
        self._client, self._deadline = client, time.monotonic() + seconds

    def perform(self, call: Call[T]) -> T:
        """The answer; raises what is still refused when the time is over."""
        return self.retry(lambda: self._client.perform(call))

    def retry(self, step: Callable[[], T]) -> T:
        """What `step` returns; raises what it still raises when the time is over."""
        while True:
            try:
                return step()
            except ProblemError as error:
                learning = error.code in LEARNS or error.status >= 500
                if not learning or time.monotonic() > self._deadline:
                    raise
            time.sleep(PAUSE_SECONDS)


def meters(
    perform: Callable[[Call[Any]], Any], catalog: Catalog, made: Review, *, over_any: bool = False
) -> Iterator[Done]:
    """Define the meters, each over the revision that was compared with, or over any."""
    for item in catalog["meters"]:
        change = made.change_of(item)
        if change != "unchanged":
            seen = None if over_any else made.in_force(item)
            perform(calls.aggregator.put_meter_body(item.name, item.body, in_force=seen))
        yield "meter", item.name, change


def plans(
    perform: Callable[[Call[Any]], Any],
    catalog: Catalog,
    *,
    revision: int | None = None,
    reason: str = "",
    by: str = "",
) -> Iterator[Done]:
    """Publish the plans, all in one revision, if the catalog is at `revision` (None: at any)."""
    if not catalog["plans"]:
        return
    call = calls.rating.publish(
        plans_body(catalog["plans"]), revision=revision, reason=reason, by=by
    )
    for plan in perform(call)["plans"]:
        same = " (unchanged)" if plan["change"] == "unchanged" else ""
        yield "plan", plan["slug"], f"version {plan['version']}{same}"


def rules(
    perform: Callable[[Call[Any]], Any], catalog: Catalog, made: Review, *, over_any: bool = False
) -> Iterator[Done]:
    """Put the rules, each over the version that was compared with, or over any."""
    for item in catalog["rules"]:
        seen = made.in_force(item)
        if made.change_of(item) == "unchanged":
            yield "rule", item.name, f"version {seen} (unchanged)"
            continue
        in_force = None if over_any else seen
        told = perform(calls.throttler.put_rule_body(item.name, item.body, in_force=in_force))
        yield "rule", item.name, f"version {told['version']}"
