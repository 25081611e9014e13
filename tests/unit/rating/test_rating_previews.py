"""A preview names what approval does, to the last charge: random plans, histories and ranges."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.contracts.charges import Charge
from common.usage import Place
from rating import assess, rerate
from rating.billing import PlanKey, PlanVersion, billing_periods, keys_of
from rating.charging import Measured, make_charges, metered
from rating.correction import Correction
from rating.history import Kind
from rating.parts.period import Held
from rating.ranges import Range
from rating.rerate import Scope, examine
from rating.rerating import Repriced, repriced
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
            body = {"slug": f"c{number}", "percent": "10", "periods": draw(st.integers(1, 4))}
        facts.append((kind, day(start + when + 1 if kind == "end" else when), body))
    return subscription(day(start), *facts)


def previewed(
    monkeypatch: pytest.MonkeyPatch, book: Book, one: Subscription, asked: Range
) -> tuple[list[Repriced], Subscription]:
    """The preview's lines, and the subscription as approval makes it."""

    async def found(tx: Any, scope: Scope) -> AsyncIterator[list[Subscription]]:
        yield [one]

    async def known(tx: Any, ids: Sequence[str], whole: Sequence[str]) -> dict[str, Charge]:
        return owed(book, one) if whole else {}

    async def measured(
        tx: Any, usage: Any, found: Sequence[Subscription], billed: Any, now: datetime
    ) -> dict[Place, Measured]:
        return {
            (one.tenant, meter, *held): measure(meter, held)
            for one in found
            for meter, held in metered(billed[one.id])
        }

    async def examined() -> list[rerate.Examined]:
        scope = Scope(None, asked, Correction("p", 2))
        said = {"by": NOW, "now": NOW, "actor": "ann", "reason": "typo"}
        return [batch async for batch in examine(None, book, scope, **said)]

    monkeypatch.setattr(rerate, "_subscriptions", found)
    monkeypatch.setattr(rerate.charges, "known", known)
    monkeypatch.setattr(assess, "_measure", measured)
    [batch] = asyncio.run(examined())
    return batch.lines, batch.rerated[0].after if batch.rerated else one


def owed(book: Book, one: Subscription) -> dict[str, Charge]:
    """All charges of a subscription."""
    periods = billing_periods(one, book.of(keys_of(one)), by=NOW)
    return {charge.id: charge for charge in make_charges(one, periods, measure)}


def told(lines: Iterable[Repriced]) -> list[tuple[str, Decimal | None, Decimal]]:
    return sorted(
        (line.after.id, None if line.before is None else line.before.amount, line.after.amount)
        for line in lines
    )


# Shrinking a case takes minutes, and finds nothing that its histories do not say.
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(plans(), histories(), st.integers(0, 330), st.sampled_from([1, 15, 31, 62, 200]))
def test_the_preview_is_what_approval_changes(
    bodies: Bodies, one: Subscription, first: int, days: int
) -> None:
    book = Book(bodies)
    before = owed(book, one)
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines, after = previewed(monkeypatch, book, one, Range(day(first), day(first + days)))
    assert told(lines) == told(repriced(before, list(owed(book, after).values())))


def monthly(amount: str, **more: Any) -> dict[str, Any]:
    prices = [{"slug": "base", "model": "flat", "amount": amount}]
    return {"name": "P", "currency": "USD", "prices": prices, **more}


def corrected(bodies: Bodies, one: Subscription, start: datetime, end: datetime) -> list[str]:
    """The facts that a correction of p to version 2 records."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _, after = previewed(monkeypatch, Book(bodies), one, Range(start, end))
    known = {fact.revision for fact in one.facts}
    return [
        f"{fact.body['version']} {fact.at:%m-%d}"
        for fact in after.facts
        if fact.revision not in known
    ]


BESIDE_A_YEAR = {
    ("p", 1): monthly("1"),
    ("p", 2): monthly("2"),
    ("q", 1): monthly("9", interval="year"),
}


def test_a_year_that_begins_in_march_is_not_of_january() -> None:
    onto_q = ("plan", at(3, 15), {"plan": "q", "version": 1})
    one = subscription(at(1, 1), onto_q)
    assert corrected(BESIDE_A_YEAR, one, at(1, 1), at(2, 1)) == ["2 01-01", "1 02-01"]
    assert corrected(BESIDE_A_YEAR, one, at(3, 1), at(4, 1)) == ["2 03-01"]


def test_what_lies_between_two_periods_of_the_range_is_left_alone() -> None:
    moves = [
        ("plan", at(3, 10), {"plan": "p", "version": 1}),
        ("plan", at(9, 1), {"plan": "q", "version": 1}),
    ]
    one = subscription(at(1, 1), *moves, body={"plan": "q", "version": 1})
    assert corrected(BESIDE_A_YEAR, one, at(1, 1), at(2, 1)) == []


def test_who_has_moved_to_the_right_version_already_is_corrected_too() -> None:
    pack = [{"slug": "pack", "amount": "100", "price": "80"}]
    bodies = {("p", number): monthly(str(number), credits=pack) for number in (1, 2)}
    moved = ("plan", at(2, 1), {"plan": "p", "version": 2})
    one = subscription(at(1, 1), moved)
    assert corrected(bodies, one, at(1, 1), at(2, 1)) == ["2 01-01"]
