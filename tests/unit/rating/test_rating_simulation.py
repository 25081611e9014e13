"""What a simulation adds up, and how its chart sorts tenants."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.usage import GroupUsage, Place, Usage
from rating.chart import column, draw, labels
from rating.parts.usage import Levels
from rating.simulate import Once
from rating.simulation import Outcome, Totals, by_tenant, totals
from tests.unit.rating.subscribed import at


def outcome(tenant: str, now: str, then: str, currency: str = "EUR") -> Outcome:
    return Outcome(tenant, currency, Decimal(now), Decimal(then))


def test_tenants_with_several_subscriptions_are_one_and_the_greatest_loss_comes_first() -> None:
    found = by_tenant([outcome("a", "10", "11"), outcome("b", "10", "30"), outcome("a", "5", "3")])
    assert found == [outcome("b", "10", "30"), outcome("a", "15", "14")]


def test_totals_are_by_currency() -> None:
    made = [outcome("a", "10", "11"), outcome("b", "5", "5"), outcome("c", "7", "6", "USD")]
    assert totals(made) == [
        Totals("EUR", 2, Decimal(15), Decimal(16), winners=0, losers=1),
        Totals("USD", 1, Decimal(7), Decimal(6), winners=1, losers=0),
    ]


@pytest.mark.parametrize(
    ("now", "then", "label"),
    [
        ("100", "100", "same"),
        ("0", "0", "same"),
        ("100", "100.01", "0 to 5 %"),
        ("100", "105", "0 to 5 %"),
        ("100", "105.01", "5 to 10 %"),
        ("100", "150", "20 to 50 %"),
        ("100", "151", "above 50 %"),
        ("0", "1", "above 50 %"),
        ("100", "99.99", "-5 to 0 %"),
        ("100", "95", "-5 to 0 %"),
        ("100", "50", "-50 to -20 %"),
        ("100", "49.99", "below -50 %"),
        ("0", "-1", "below -50 %"),
    ],
)
def test_the_column_of_a_change(now: str, then: str, label: str) -> None:
    assert labels()[column(outcome("a", now, then))] == label


def test_the_chart_is_svg_that_shows_each_tenant_and_runs_nothing() -> None:
    made = [outcome(f"t{n}", "100", str(40 + n)) for n in range(120)]
    made.append(outcome("x", "1", "2", "USD"))
    root = ET.fromstring(draw(made, "A <draft> & more"))
    named = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{named}svg"
    assert not list(root.iter(f"{named}script"))
    shown = [title.text or "" for title in root.iter(f"{named}title")]
    assert sum(int(one.split(": ")[1].split(" ")[0]) for one in shown) == 121
    assert "A <draft> & more" in [text.text for text in root.iter(f"{named}text")]


def test_the_chart_of_nobody() -> None:
    assert ET.fromstring(draw([], "nobody"))


class Recorded:
    """Usage that says which day of January it was read for, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, list[Place]] = {"usages": [], "groups": [], "levels": []}

    async def usages(self, connection: Any, places: Sequence[Place]) -> list[Usage]:
        self.asked["usages"] += places
        return [Usage(Decimal(place[2].day), 1, {}, 1) for place in places]

    async def groups(self, connection: Any, places: Sequence[Place]) -> list[list[GroupUsage]]:
        self.asked["groups"] += places
        return [[GroupUsage({}, Decimal(place[2].day), 1)] for place in places]

    async def levels(self, connection: Any, places: Sequence[Place], now: datetime) -> list[Levels]:
        self.asked["levels"] += places
        return [Levels(Decimal(place[2].day), now, 1, 1) for place in places]


async def test_what_both_plans_ask_for_is_read_once() -> None:
    places: list[Place] = [
        ("acme", "m", at(1, day), at(1, day) + timedelta(days=1)) for day in range(1, 5)
    ]
    stored = Recorded()
    once = Once(stored)
    for asked in (places[:3], places[:0:-1], [places[2], places[2]]):
        days = [Decimal(place[2].day) for place in asked]
        usages = await once.usages(None, asked)
        groups = await once.groups(None, asked)
        levels = await once.levels(None, asked, at(2, 1))
        assert [one.quantity for one in usages] == days
        assert [one.quantity for [one] in groups] == days
        assert [one.unit_seconds for one in levels] == days
    assert stored.asked == {"usages": places, "groups": places, "levels": places}
