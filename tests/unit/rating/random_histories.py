"""Random plans in versions, and subscriptions with histories on them, rated without a database."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from common.contracts.charges import Charge
from rating.billing import PlanKey, PlanVersion, billing_periods, keys_of
from rating.charging import Measured, make_charges
from rating.history import Kind
from rating.parts.period import Held
from rating.subscription import Subscription
from rating.variants import in_currency
from tests.unit.rating.random_plans import random_plans
from tests.unit.rating.subscribed import at, held_levels, read, subscription

YEAR = at(1, 1)
NOW = datetime(2026, 12, 15, 12, tzinfo=UTC)
USED = {YEAR + timedelta(hours=13 * i): Decimal(1 + i % 37) for i in range(640)}
LEVELS = {YEAR + timedelta(hours=71 * i): str(i % 9) for i in range(100)}
Bodies = Mapping[tuple[str, int], dict[str, Any]]


def measure(meter: str, held: Held) -> Measured:
    """Every meter counts `USED`, every gauge reported `LEVELS`."""
    inside = [amount for when, amount in USED.items() if held[0] <= when < held[1]]
    return Measured(
        sum(inside, Decimal(0)),
        len(inside),
        count=len(inside),
        groups=tuple(({}, amount) for amount in inside),
        levels=held_levels(LEVELS, held, NOW),
    )


class Book:
    """The plans of bodies, each variant made once."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._known: dict[PlanKey, PlanVersion] = {}

    async def load(self, tx: Any, keys: Iterable[PlanKey]) -> dict[PlanKey, PlanVersion]:
        return self.of(keys)

    def of(self, keys: Iterable[PlanKey]) -> dict[PlanKey, PlanVersion]:
        found = {}
        for key in keys:
            if key not in self._known:
                body = in_currency(self._bodies[key.plan, key.version], key.currency)
                assert body is not None
                plan = read(body)
                units = dict.fromkeys(plan.meters, "unit")
                self._known[key] = PlanVersion(key.plan, key.version, plan, units, key.overrides)
            found[key] = self._known[key]
        return found


def day(number: int) -> datetime:
    return YEAR + timedelta(days=number)


@st.composite
def plans(draw: st.DrawFn) -> Bodies:
    """Two versions of plan p, often with the same billing periods, and another plan."""
    first = draw(random_plans())
    second = draw(random_plans())
    if draw(st.booleans()):
        second = deepcopy(first)
        for price in second["prices"]:
            for field in ("amount", "unit_amount"):
                if isinstance(price.get(field), str):
                    price[field] = draw(st.sampled_from(["0", "1", "7.77"]))
        second.pop("currencies", None)
    return {("p", 1): first, ("p", 2): second, ("q", 1): draw(random_plans())}


@st.composite
def histories(draw: st.DrawFn) -> Subscription:
    """A subscription that began on version 1 of plan p."""
    start = draw(st.integers(0, 100))
    facts: list[tuple[Kind, datetime, dict[str, Any]]] = []
    kinds: list[Kind] = ["plan", "plan", "pause", "resume", "quantity", "cut", "coupon", "end"]
    for number in range(draw(st.integers(0, 5))):
        when, kind = draw(st.integers(0, 330)), draw(st.sampled_from(kinds))
        body: dict[str, Any] = {}
        if kind == "plan":
            slug, version = draw(st.sampled_from([("p", 1), ("p", 2), ("q", 1)]))
            body = {"plan": slug, "version": version}
        elif kind == "quantity":
            body = {"name": "seats", "quantity": str(draw(st.integers(0, 9)))}
        elif kind == "coupon":
            off = draw(st.sampled_from([{"percent": "10"}, {"amount": "10"}]))
            body = {"slug": f"c{number}", "periods": draw(st.integers(1, 4)), **off}
        facts.append((kind, day(start + when + 1 if kind == "end" else when), body))
    return subscription(day(start), *facts)


def owed(book: Book, one: Subscription) -> dict[str, Charge]:
    """All charges of a subscription."""
    periods = billing_periods(one, book.of(keys_of(one)), by=NOW)
    return {charge.id: charge for charge in make_charges(one, periods, measure)}


def monthly(amount: str, **more: Any) -> dict[str, Any]:
    prices = [{"slug": "base", "model": "flat", "amount": amount}]
    return {"name": "P", "currency": "USD", "prices": prices, **more}
