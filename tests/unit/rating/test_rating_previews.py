"""A preview names what approval does, to the last charge: random plans, histories and ranges."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.contracts.charges import Charge
from common.usage import Place
from rating import assess, rerate
from rating.charging import Measured, metered
from rating.correction import Correction
from rating.ranges import Range
from rating.rerate import Scope, examine
from rating.rerating import Repriced, repriced
from rating.subscription import Subscription
from tests.unit.rating.random_histories import (
    NOW,
    Bodies,
    Book,
    day,
    histories,
    measure,
    monthly,
    owed,
    plans,
)
from tests.unit.rating.subscribed import at, subscription


def previewed(
    monkeypatch: pytest.MonkeyPatch, book: Book, one: Subscription, asked: Range
) -> tuple[list[Repriced], Subscription]:
    """The preview's lines, and the subscription as approval makes it."""

    async def found(tx: Any, tenants: Any, plan: Any) -> AsyncIterator[list[Subscription]]:
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

    monkeypatch.setattr(rerate.subscriptions, "batches", found)
    monkeypatch.setattr(rerate.charges, "known", known)
    monkeypatch.setattr(assess, "_measure", measured)
    [batch] = asyncio.run(examined())
    return batch.lines, batch.rerated[0].after if batch.rerated else one


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
