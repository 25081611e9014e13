"""What is said about a price, word by word: callers read these sentences, and some compare them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from rating.exact import over, settle, shown
from rating.price import price_of
from rating.prices.fields import Fields
from rating.prices.model import Seen
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import price, rated, read, tier

UNIT = {"model": "unit", "unit_amount": "1"}
MATRIX: dict[str, Any] = {
    "model": "matrix",
    "dimensions": ["a", "b"],
    "default": "1",
    "cells": [{"group": {"a": "1", "b": "2"}, "unit_amount": "2"}],
}
NO_DECIMAL = 'is not a decimal: write digits with a point, for example "1.5"'
TOO_LONG = "has more than 20 digits before the point or 18 after it"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            {"model": "cubic"},
            [
                (
                    "price.model",
                    "'cubic' is not a price model; known: flat, unit, graduated, volume, package,"
                    " percentage, graduated_percentage, matrix, dynamic, time_weighted",
                )
            ],
        ),
        (UNIT | {"unit_amount": None}, [("price.unit_amount", "is missing")]),
        (UNIT | {"unit_amount": "x"}, [("price.unit_amount", f"'x' {NO_DECIMAL}")]),
        (UNIT | {"unit_amount": "x" * 50}, [("price.unit_amount", f"'{'x' * 40}' {NO_DECIMAL}")]),
        (
            UNIT | {"unit_amount": 0.5},
            [("price.unit_amount", 'must be a decimal written as a text, for example "0.25"')],
        ),
        (UNIT | {"unit_amount": "-1"}, [("price.unit_amount", "must not be negative")]),
        (UNIT | {"unit_amount": "1e20"}, [("price.unit_amount", TOO_LONG)]),
        (UNIT | {"unit_amount": "12e19"}, [("price.unit_amount", TOO_LONG)]),
        (UNIT | {"unit_amount": 10**20}, [("price.unit_amount", TOO_LONG)]),
        (UNIT | {"unit_amount": "1.0000000000000000001"}, [("price.unit_amount", TOO_LONG)]),
        (UNIT | {"extra": "1"}, [("price.extra", "is not a field here")]),
        (UNIT | {"e" * 101: "1"}, [("price." + "e" * 100, "is not a field here")]),
        (UNIT | {"minimum_quantity": "-1"}, [("price.minimum_quantity", "must not be negative")]),
        (UNIT | {"included": "-1"}, [("price.included", "must not be negative")]),
        (UNIT | {"rollover": {"cap": "-1"}}, [("price.rollover.cap", "must not be negative")]),
        (UNIT | {"rollover": {"top": "1"}}, [("price.rollover.top", "is not a field here")]),
        (UNIT | {"rollover": "yes"}, [("price.rollover", "must be an object")]),
        (
            UNIT | {"minimum": "2", "maximum": "1.50"},
            [("price.minimum", "must not be above the maximum, 1.5")],
        ),
        (
            UNIT | {"discount": {}},
            [("price.discount", "must have exactly one of: percent, amount, quantity")],
        ),
        (
            {"model": "flat", "amount": "1", "discount": {"quantity": "1"}},
            [
                (
                    "price.discount.quantity",
                    "takes units off, and this model has none: use percent or amount",
                ),
            ],
        ),
        (
            UNIT | {"discount": {"percent": "100.1"}},
            [("price.discount.percent", "must be from 0 to 100: 50 is 50 %")],
        ),
        (
            UNIT | {"conversion": {"multiply": "1", "divide": "1"}},
            [("price.conversion", "must have either multiply or divide, not both and not neither")],
        ),
        (
            UNIT | {"conversion": {}},
            [("price.conversion", "must have either multiply or divide, not both and not neither")],
        ),
        (
            UNIT | {"conversion": {"divide": "0"}},
            [("price.conversion.divide", "must be above 0")],
        ),
        (
            UNIT | {"conversion": {"divide": "1", "rounding": "up", "precision": 19}},
            [
                ("price.conversion.rounding", "must be one of: none, ceiling, floor, half_up"),
                ("price.conversion.precision", "must be a whole number from 0 to 18"),
            ],
        ),
        (
            UNIT | {"conversion": {"divide": "3", "precision": 2}},
            [("price.conversion.precision", "needs a rounding: ceiling, floor, half_up")],
        ),
        (
            UNIT | {"conversion": {"divide": "1", "precision": "1.0"}},
            [("price.conversion.precision", "must be a whole number from 0 to 18")],
        ),
        (
            {"model": "graduated", "tiers": {}},
            [("price.tiers", "must be a list of 1 to 100 objects")],
        ),
        (
            {"model": "graduated", "tiers": [1, tier(None)]},
            [("price.tiers[0]", "must be an object")],
        ),
        (
            {"model": "graduated", "tiers": [tier(None), tier("5.0"), tier("5")]},
            [
                ("price.tiers[0].up_to", "only the last tier may be open"),
                ("price.tiers[2].up_to", "must be above 5, where the tier before it ends"),
                (
                    "price.tiers[2].up_to",
                    "the last tier must be open: null, so that all units cost",
                ),
            ],
        ),
        (
            MATRIX | {"dimensions": []},
            [("price.dimensions", "must be a list of 1 to 10 different names")],
        ),
        (
            MATRIX | {"dimensions": [1]},
            [("price.dimensions", "must be a list of 1 to 10 different names")],
        ),
        (
            MATRIX | {"dimensions": ["a", "a"]},
            [("price.dimensions", "must be a list of 1 to 10 different names")],
        ),
        (
            MATRIX | {"dimensions": [str(number) for number in range(11)]},
            [("price.dimensions", "must be a list of 1 to 10 different names")],
        ),
        (
            MATRIX | {"cells": [{"group": {"a": "1"}, "unit_amount": "2"}]},
            [("price.cells[0].group", "must give a value for each of: a, b")],
        ),
        (
            MATRIX | {"cells": MATRIX["cells"] * 2},
            [("price.cells[1].group", "names the same cell as one before it")],
        ),
        (
            MATRIX | {"cells": [{"group": {"a": [1], "b": ""}, "unit_amount": "2"}]},
            [("price.cells[0].group.a", "must be a text, a number, true, false or null")],
        ),
        (
            MATRIX | {"cells": [{"group": "a", "unit_amount": "2"}]},
            [
                ("price.cells[0].group", "must be an object whose values are texts"),
                ("price.cells[0].group", "must give a value for each of: a, b"),
            ],
        ),
        (
            {"model": "percentage", "rate": "1", "min_per_event": "2", "max_per_event": "1.0"},
            [("price.min_per_event", "must not be above max_per_event, 1")],
        ),
        (
            {"model": "percentage", "rate": "1", "free_events": 10**12},
            [("price.free_events", "must be a whole number from 0 to 999,999,999,999")],
        ),
        (
            {"model": "time_weighted", "unit_amount": "1", "per": "year"},
            [("price.per", "must be one of: hour, month")],
        ),
        (
            {"model": "package", "package_size": "0", "amount": "1"},
            [("price.package_size", "must be above 0")],
        ),
    ],
)
def test_a_refusal_word_by_word(value: dict[str, Any], said: list[tuple[str, str]]) -> None:
    assert [(error.path, error.message) for error in read(value)[1]] == said


@pytest.mark.parametrize(("length", "shown_characters"), [(58, 60), (59, 60), (200, 60)])
def test_a_long_name_is_cut(length: int, shown_characters: int) -> None:
    message = read({"model": "m" * length})[1][0].message
    assert message.startswith(repr("m" * length)[:shown_characters] + " is not a price model")


@pytest.mark.parametrize(
    "value",
    [
        MATRIX
        | {
            "dimensions": [str(n) for n in range(10)],
            "cells": [{"group": {str(n): n for n in range(10)}, "unit_amount": "1"}],
        },
        {"model": "graduated", "tiers": [*(tier(str(n)) for n in range(1, 100)), tier(None)]},
        {"model": "percentage", "rate": "1", "min_per_event": "1", "max_per_event": "1"},
        {"model": "percentage", "rate": "1", "free_events": 10**12 - 1},
        UNIT | {"minimum": "1", "maximum": "1.0"},
        UNIT | {"discount": {"percent": "100"}},
        UNIT | {"discount": {"percent": "0"}},
        UNIT | {"conversion": {"divide": "1", "rounding": "floor", "precision": 18}},
        UNIT | {"conversion": {"divide": "1", "rounding": "none", "precision": 18}},
        UNIT | {"conversion": {"divide": "0.000000000000000001", "precision": None}},
        UNIT | {"unit_amount": "99999999999999999999.999999999999999999"},
        UNIT | {"unit_amount": "10000e15"},
    ],
)
def test_the_last_value_that_is_allowed_is_taken(value: dict[str, Any]) -> None:
    assert read(value)[1] == []


def steps(value: dict[str, Any], quantity: str = "0", usage: Usage | None = None) -> list[Any]:
    result = rate(price(**value), usage or Usage(Decimal(quantity)), Context("USD"))
    return [
        (line.kind, line.description, line.quantity, line.unit_amount, line.amount, line.tier)
        for line in result.lines
    ]


def test_the_tier_of_a_volume_and_its_flat_amount() -> None:
    volume = {"model": "volume", "tiers": [tier("5", "1", "100"), tier(None, "1")]}
    assert steps(volume, "3") == [
        ("tier", "Tier 1 for all: 3 × 1", 3, 1, 3, 1),
        ("tier_flat", "Tier 1 reached", None, None, 100, 1),
    ]


def test_every_note_about_the_quantity() -> None:
    value = UNIT | {
        "conversion": {"multiply": "2", "rounding": "half_up", "precision": 2},
        "included": "3",
        "rollover": {},
        "discount": {"quantity": "4"},
        "minimum_quantity": "20",
    }
    usage = Usage(Decimal(-1), rolled_over=Decimal(2))
    assert steps(value, usage=usage) == [
        ("conversion", "0 × 2, half up at 2 decimals = 0", 0, None, 0, None),
        ("included", "0 of 5 included units", 0, 0, 0, None),
        ("discount", "Discount of 4 units", 0, None, 0, None),
        ("minimum_quantity", "At least 20 units", 20, None, 0, None),
        ("unit", "20 × 1", 20, 1, 20, None),
    ]


def test_every_step_about_the_amount() -> None:
    value = UNIT | {"discount": {"percent": "50"}, "maximum": "3", "minimum": "3.0"}
    assert [step[:2] for step in steps(value, "10")] == [
        ("unit", "10 × 1"),
        ("discount", "Discount of 50 %"),
        ("maximum", "At most 3"),
    ]
    assert steps(value, "2")[2:] == [("minimum", "At least 3", None, None, 2, None)]
    assert len(steps(value, "6")) == 2, "what lies on a bound is not moved"


def test_the_bounds_of_an_event_in_words() -> None:
    value = {"model": "percentage", "rate": "0.1", "min_per_event": "1"}
    events = Usage(seen=Seen(amounts=(Decimal(1), Decimal(1200))))
    said = "2 of 2 events pay: 1201 × 0.1 + 2 × 0"
    assert steps(value, usage=events) == [
        ("percentage", f"{said}, at least 1 an event", 1201, None, 121, None)
    ]
    del value["min_per_event"]
    assert (
        steps(value | {"max_per_event": "9"}, usage=events)[0][1] == f"{said}, at most 9 an event"
    )
    assert steps(value, usage=events)[0][1] == said


def test_thousands_of_events_in_words() -> None:
    events = Usage(seen=Seen(amounts=(Decimal(1),) * 1500))
    said = steps({"model": "percentage", "rate": "0.1", "free_events": 100}, usage=events)[0][1]
    assert said == "1,400 of 1,500 events pay: 1400 × 0.1 + 1400 × 0"


def test_an_event_of_nothing_pays_the_fixed_amount_once_the_free_amount_is_used_up() -> None:
    value = {"model": "percentage", "rate": "0.1", "fixed_amount": "2", "free_amount": "50"}
    events = Usage(seen=Seen(amounts=(Decimal(0), Decimal(50), Decimal(0))))
    assert rate(price(**value), events, Context("USD")).amount == 2


@pytest.mark.parametrize(
    ("last", "amount"), [("100", "0"), ("100.5", "2.05"), ("99.5", "0"), ("102", "2.2")]
)
def test_the_event_that_reaches_the_free_amount_is_free_and_the_one_that_crosses_it_is_not(
    last: str, amount: str
) -> None:
    value = {"model": "percentage", "rate": "0.1", "fixed_amount": "2", "free_amount": "250"}
    events = Usage(seen=Seen(amounts=(Decimal(50), Decimal(100), Decimal(last))))
    assert rate(price(**value), events, Context("USD")).amount == Decimal(amount)


def test_the_cell_of_a_boolean() -> None:
    cells = [{"group": {"a": False, "b": 0}, "unit_amount": "2"}]
    usage = Usage(Decimal(3), Seen(group={"a": "false", "b": "0"}))
    assert steps(MATRIX | {"cells": cells}, usage=usage) == [
        ("matrix", "a false, b 0: 3 × 2", 3, 2, 6, None)
    ]
    assert steps(MATRIX, "3")[0][1] == "a unknown, b unknown (default): 3 × 1"


def test_a_price_per_month_without_a_period_cannot_be_rated() -> None:
    made = price(model="time_weighted", unit_amount="1", per="month")
    with pytest.raises(ValueError, match=r"^a price per month needs the period$"):
        rated(made, "1")


def test_a_stored_price_that_is_invalid_says_where() -> None:
    with pytest.raises(ValueError, match=r"^a stored price is invalid: .*path='unit_amount'"):
        price_of({"slug": "s", "meter": "m", "description": "d", "model": "unit"})


@pytest.mark.parametrize(
    ("conversion", "canonical", "said"),
    [
        ({"divide": "10.0", "rounding": "none", "precision": 3}, {"divide": "10"}, "÷ 10"),
        ({"multiply": 2, "rounding": "none"}, {"multiply": "2"}, "× 2"),
        (
            {"divide": "10", "rounding": "floor"},
            {"divide": "10", "rounding": "floor", "precision": 0},
            "÷ 10, floor",
        ),
    ],
)
def test_a_conversion_in_its_shortest_form(
    conversion: dict[str, Any], canonical: dict[str, Any], said: str
) -> None:
    made = price(**UNIT, conversion=conversion)
    assert made.fields()["conversion"] == canonical
    assert made.conversion is not None
    assert made.conversion.describe() == said


def test_what_is_settled_has_eighteen_decimals_and_adds_up() -> None:
    made = price(
        model="graduated",
        tiers=[tier("1", "0.0000000001", "1"), tier(None, "0.0000000003")],
        conversion={"divide": "7"},
    )
    result = rated(made, "29.123456789")
    settled = result.settled()
    assert (settled.rounded, settled.residual) == (result.rounded, settled.amount - result.rounded)
    assert sum(line.amount for line in settled.lines) == settled.amount == settle(result.amount)
    assert [line.quantity for line in settled.lines] == [
        Decimal("4.160493827000000000").normalize(),
        Decimal(1),
        None,
        Decimal("3.160493827000000000").normalize(),
    ]
    long = rated(price(model="unit", unit_amount="0.000000000000000001"), "0.26").settled()
    assert (long.lines[0].quantity, long.amount) == (Decimal("0.26"), Decimal("1e-18"))


def test_what_is_settled_may_be_longer_than_the_context_of_the_thread() -> None:
    made = price(model="graduated", tiers=[tier("1", "0.1"), tier(None, "0.1")])
    settled = rated(made, f"{'7' * 40}.{'7' * 25}").settled()
    assert [str(line.quantity) for line in settled.lines] == ["1", f"{'7' * 39}6.{'7' * 18}"]
    assert [str(line.amount) for line in settled.lines] == ["0.1", f"{'7' * 39}.6{'7' * 17}"]
    assert str(settled.amount) == f"{'7' * 39}.{'7' * 18}"


@pytest.mark.parametrize(
    ("value", "settled"),
    [
        (Decimal("0.1234567890123456789"), "0.123456789012345678"),
        (Decimal("0.1234567890123456709"), "0.123456789012345671"),
        (Decimal("-0.1234567890123456759"), "-0.123456789012345676"),
        (Decimal("0.123456789012345678"), "0.123456789012345678"),
        (Fraction(1, 3), "0.333333333333333333"),
        (Fraction(-2, 3), "-0.666666666666666666"),
        (Fraction(1, 6 * 10**17), "0.000000000000000001"),
        (Fraction(5, 9), "0.555555555555555556"),
        (Fraction(1, 4), "0.250000000000000000"),
        (Fraction(10**40, 3), f"{'3' * 40}.{'3' * 18}"),
    ],
)
def test_settled_towards_zero_but_never_onto_a_tie(value: Any, settled: str) -> None:
    assert format(settle(value), "f") == settled


def test_a_quotient_is_a_decimal_where_it_ends() -> None:
    assert over(Decimal(1), Decimal(8)) == Decimal("0.125")
    assert isinstance(over(Decimal(1), Decimal(8)), Decimal)
    assert isinstance(over(Fraction(1, 3), Fraction(2, 3)), Decimal)
    assert over(Decimal(1), Decimal(3)) == Fraction(1, 3)
    assert over(Fraction(1, 3), Decimal(2)) == Fraction(1, 6)
    assert shown(Fraction(1, 3)) == "0.333333333333333333"
    assert shown(Fraction(1, 4)) == "0.25"


def test_reading_goes_on_after_an_error_with_a_value_that_is_harmless() -> None:
    errors: list[Any] = []
    fields = Fields({"a": "x", "b": "x", "c": "x" * 201, "d": "x" * 200, "e": "-1"}, "", errors)
    assert fields.quantity("a") == 0
    assert fields.choice("b", ("first", "second")) == "first"
    assert fields.text("c") == ""
    assert fields.text("d") == "x" * 200
    assert fields.decimal("e") == 0
    assert read({"model": "cubic"})[0] == price(model="flat", amount="0")
    assert read(UNIT | {"conversion": {}})[0] == price(**UNIT, conversion={"multiply": "1"})
    assert [(error.path, error.message) for error in errors] == [
        ("a", f"'x' {NO_DECIMAL}"),
        ("b", "must be one of: first, second"),
        ("c", "must be a text of 1 to 200 characters"),
        ("e", "must not be negative"),
    ]


def test_the_name_of_a_dimension_is_cut() -> None:
    errors: list[Any] = []
    Fields({"group": {"k" * 101: [1]}}, "", errors).texts("group")
    assert [error.path for error in errors] == ["group." + "k" * 100]


def test_each_object_knows_its_path() -> None:
    errors: list[Any] = []
    fields = Fields({"a": {"b": [{"c": 1}]}}, "", errors)
    inner = fields.within("a")
    assert inner is not None
    for item in inner.objects("b", max_items=1):
        item.refuse("c", "is wrong", "a_code")
    assert [(error.path, error.message, error.code) for error in errors] == [
        ("a.b[0].c", "is wrong", "a_code")
    ]
