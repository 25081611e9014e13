"""Builds subscriptions and plans for tests, the way callers write them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from common.contracts.charges import Charge
from common.money import round_line
from common.periods import slot_of
from rating.billing import Billed, PlanKey, PlanVersion, billing_periods, key_of
from rating.charging import Measured, make_charges
from rating.history import Fact, Kind
from rating.parts.period import Held
from rating.parts.usage import Levels
from rating.plan import Plan, read_plan
from rating.subscription import LATEST, Subscription
from rating.variants import in_currency, with_fields

FEE: dict[str, Any] = {"slug": "base", "model": "flat", "amount": "10"}
"""In a plan without further words."""


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def plan(*prices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A body."""
    return {"name": "Plan", "currency": "USD", "prices": list(prices) or [FEE]} | more


def read(body: dict[str, Any]) -> Plan:
    """A plan that must be right."""
    made, errors = read_plan(body)
    assert errors == []
    return made


def subscription(
    start: datetime, *facts: tuple[Kind, datetime, dict[str, Any]], **fields: Any
) -> Subscription:
    """On plan `p` version 1 in USD, UTC, billed on the 1st, with further facts in the order of
    their recording."""
    opening = fields.pop("body", {"plan": "p", "version": 1})
    recorded = [Fact(revision=1, kind="start", at=start, body=opening)]
    for kind, when, body in facts:
        recorded.append(Fact(revision=len(recorded) + 1, kind=kind, at=when, body=body))
    values: dict[str, Any] = {
        "id": "s",
        "tenant": "acme",
        "currency": "USD",
        "anchor_day": 1,
        "zone": "UTC",
        "facts": tuple(recorded),
    }
    return Subscription(**(values | fields))


def onto(plan_slug: str, version: int = 1, **more: Any) -> dict[str, Any]:
    return {"plan": plan_slug, "version": version} | more


def plans_of(
    subscribed: Subscription, bodies: Mapping[str, dict[str, Any]]
) -> dict[PlanKey, PlanVersion]:
    """The variants that a subscription needs; bodies by slug, the same for all versions."""
    made = {}
    for segment in subscribed.timeline.segments:
        key = key_of(segment.terms, subscribed.currency)
        body = in_currency(bodies[key.plan], key.currency)
        assert body is not None
        said = {slug: msgspec.json.decode(fields) for slug, fields in key.overrides}
        read_body = read(with_fields(body, said))
        units = {meter: "unit" for meter in read_body.meters}
        made[key] = PlanVersion(key.plan, key.version, read_body, units, key.overrides)
    return made


def periods_of(
    subscribed: Subscription, bodies: Mapping[str, dict[str, Any]], by: datetime, **more: Any
) -> list[Billed]:
    return billing_periods(subscribed, plans_of(subscribed, bodies), by=by, **more)


def charges(
    subscribed: Subscription,
    bodies: Mapping[str, dict[str, Any]] | dict[str, Any],
    by: datetime,
    used: Mapping[datetime, str | list[Any]] | None = None,
    levels: Mapping[datetime, str] | None = None,
) -> list[Charge]:
    """All charges by `by`. `bodies`: the plan `p`, or plans by slug. `used`: by instant, what every
    meter counts: an amount, or a list of amounts or of {group, quantity}.
    `levels`: of every gauge, by the instant that it was reported."""
    by_slug: Any = {"p": bodies} if "prices" in bodies else bodies

    def measure(meter: str, held: Held) -> Measured:
        inside = [
            event
            for when, said in (used or {}).items()
            if held[0] <= when < held[1]
            for event in _events(said)
        ]
        quantity = sum((amount for _, amount in inside), Decimal(0))
        return Measured(
            quantity,
            len(inside),
            count=len(inside),
            groups=tuple(inside),
            levels=held_levels(levels or {}, held, by),
        )

    return make_charges(subscribed, periods_of(subscribed, by_slug, by), measure)


def held_levels(reports: Mapping[datetime, str], held: Held, now: datetime) -> Levels:
    """What the store says of one group's reports, computed from one report to the
    next."""
    inside = [at for at in reports if held[0] <= at < held[1]]
    until = held[1] if held[1] <= now else max(inside, default=held[0])
    total = Decimal(0)
    edges = [*sorted(reports), LATEST]
    for at, following in pairwise(edges):
        seconds = (min(following, until) - max(at, held[0])) / timedelta(seconds=1)
        total += Decimal(reports[at]) * Decimal(max(0.0, seconds))
    return Levels(total, until, len({slot_of(at) for at in inside}), 1)


def _events(said: str | list[Any]) -> list[tuple[dict[str, str], Decimal]]:
    return [
        ({}, Decimal(one)) if isinstance(one, str) else (one["group"], Decimal(one["quantity"]))
        for one in ([said] if isinstance(said, str) else said)
    ]


def due(made: list[Charge]) -> dict[str, str]:
    """What invoices would say, by price and day of the begin."""
    return {
        f"{one.price} {one.period_from:%m-%d}": str(round_line(one.amount, one.currency))
        for one in made
    }
