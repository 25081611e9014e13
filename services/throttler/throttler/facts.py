"""Gathers what is known about tenants, for `decide`: one query for the usage of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.contracts.tenants import Tenant
from common.usage import UsageProjection
from throttler.decide import Facts, Held
from throttler.rules import Rule
from throttler.windows import window_of


@dataclass(frozen=True, slots=True)
class Subject:
    """A tenant to decide about. `tenant`: as the catalog knows it, None if it does not.
    `rules`: those that concern it. `held`: what the last evaluation remembered."""

    key: str
    tenant: Tenant | None
    rules: list[Rule]
    held: frozenset[Held] = frozenset()


async def gather(
    connection: Any,
    projection: UsageProjection,
    subjects: Sequence[Subject],
    now: datetime,
    as_of: datetime | None,
) -> list[Facts]:
    """The facts about each subject, in order: its rules' windows at `now` and the usage in them."""
    windows = [
        {rule.slug: window_of(rule, subject.tenant, now) for rule in subject.rules}
        for subject in subjects
    ]
    # Rules that look at the same meter in the same window share a place.
    places = {
        (subject.key, rule.meter, of[rule.slug].start, of[rule.slug].end)
        for subject, of in zip(subjects, windows, strict=True)
        for rule in subject.rules
    }
    ordered = sorted(places)
    found = await projection.usages(connection, ordered)
    used = {place: usage.quantity for place, usage in zip(ordered, found, strict=True)}
    return [
        Facts(
            tenant=subject.key,
            windows=of,
            usage={
                rule.slug: used[subject.key, rule.meter, of[rule.slug].start, of[rule.slug].end]
                for rule in subject.rules
            },
            held=subject.held,
            as_of=as_of,
        )
        for subject, of in zip(subjects, windows, strict=True)
    ]
