"""From the levels of a gauge to the hours that a charge has counted."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from common.money import plain
from rating.holding import SHOWN, LevelPage, holding
from rating.parts.usage import HeldLevel
from tests.unit.rating.arithmetic import last_value
from tests.unit.rating.subscribed import at


def held(level: str, hours: float, **group: str) -> HeldLevel:
    return HeldLevel(group, Decimal(level), at(1, 1), at(1, 5), at(1, 5) + timedelta(hours=hours))


def texts(*levels: HeldLevel, more: str = "0", is_whole: bool = True) -> list[str]:
    """What is told of a charge that has counted these levels, and `more` unit-seconds."""
    total = sum((one.level * one.seconds for one in levels), Decimal(more))
    told = holding({"unit_seconds": plain(total)}, LevelPage(levels, is_whole=is_whole))
    assert [last_value(one.text) for one in told][-1] == Fraction(total) / 3600
    return [one.text for one in told]


def test_a_level_from_before_and_one_that_replaced_it() -> None:
    assert texts(held("100", 96), held("10", 72)) == ["100 × 96 h + 10 × 72 h = 10,320 unit-hours"]


def test_each_group_adds_up_by_itself() -> None:
    assert texts(held("1", 1 / 3600), held("2.5", 2, disk="a"), held("-1", 4, disk="b")) == [
        "1 × 1/3,600 (≈ 0.000278) h = 1/3,600 (≈ 0.000278) unit-hours",
        "disk=a: 2.5 × 2 h = 5 unit-hours",
        "disk=b: -1 × 4 h = -4 unit-hours",
        "All groups: 1/3,600 (≈ 0.000278) + 5 + -4 = 3,601/3,600 (≈ 1.000278) unit-hours",
    ]


@pytest.mark.parametrize(
    ("count", "more", "is_whole"), [(SHOWN + 1, "0", True), (2, "3600", True), (2, "0", False)]
)
def test_what_is_too_much_or_was_seen_otherwise_is_told_as_the_charge_counted_it(
    count: int, more: str, is_whole: bool
) -> None:
    hours = count + int(more) // 3600
    assert texts(*[held("1", 1)] * count, more=more, is_whole=is_whole) == [
        f"All levels held: {hours * 3600:,} unit-seconds ÷ 3,600 = {hours} unit-hours"
    ]


def test_nothing_reported() -> None:
    assert holding({"unit_seconds": "0"}, LevelPage(()))[0].text == (
        "All levels held: 0 unit-seconds ÷ 3,600 = 0 unit-hours"
    )
