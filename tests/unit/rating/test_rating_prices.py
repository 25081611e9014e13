"""Every invalid price is refused with the path of the field and a sentence."""

from typing import Any

import pytest

from tests.unit.rating.prices import price, read, tier


def test_a_price_is_read_as_a_caller_writes_it() -> None:
    made, errors = read({"model": "unit", "unit_amount": "0.0020", "included": "100"})
    assert errors == []
    assert made.fields() == {"model": "unit", "unit_amount": "0.002", "included": "100"}


def test_equal_prices_are_equal_however_they_are_written() -> None:
    assert price(model="flat", amount="10.00") == price(model="flat", amount=10)
    assert price(model="flat", amount="12345.0") == price(model="flat", amount=12345)


def test_rollover_is_an_object_or_a_word_for_one() -> None:
    def made(rollover: Any) -> dict[str, Any]:
        return price(model="unit", unit_amount="1", included="5", rollover=rollover).fields()

    assert made(True)["rollover"] == made({})["rollover"] == {}
    assert "rollover" not in made(False) | made(None)


OPEN = tier(None, "1")


@pytest.mark.parametrize(
    ("value", "path", "sentence"),
    [
        ({}, "price.model", "is missing; known: flat, "),
        ({"model": "cubic"}, "price.model", "'cubic' is not a price model; known: flat, unit"),
        ({"model": ["flat"]}, "price.model", "is not a price model"),
        ({"model": "flat"}, "price.amount", "is missing"),
        ({"model": "flat", "amount": None}, "price.amount", "is missing"),
        ({"model": "flat", "amount": "1,5"}, "price.amount", "'1,5' is not a decimal"),
        ({"model": "flat", "amount": "-0"}, "price.amount", "must not be negative"),
        ({"model": "unit", "unit_amount": "-0.00"}, "price.unit_amount", "must not be negative"),
        ({"model": "flat", "amount": 1.5}, "price.amount", "must be a decimal written as a text"),
        ({"model": "flat", "amount": True}, "price.amount", "must be a decimal"),
        ({"model": "flat", "amount": "NaN"}, "price.amount", "is not a decimal"),
        ({"model": "flat", "amount": "Infinity"}, "price.amount", "is not a decimal"),
        ({"model": "flat", "amount": "1e400"}, "price.amount", "has more than 20 digits"),
        ({"model": "flat", "amount": "1e4000"}, "price.amount", "has more than 20 digits"),
        ({"model": "flat", "amount": "1e-19"}, "price.amount", "18 after it"),
        ({"model": "flat", "amount": "١"}, "price.amount", "is not a decimal"),
        ({"model": "flat", "amount": 10**400}, "price.amount", "has more than 20 digits"),
        ({"model": "flat", "amount": "1" * 21}, "price.amount", "has more than 20 digits"),
        ({"model": "flat", "amount": "0." + "1" * 19}, "price.amount", "18 after it"),
        ({"model": "flat", "amount": "-1"}, "price.amount", "must not be negative"),
        ({"model": "unit", "unit_amount": "-0.1"}, "price.unit_amount", "must not be negative"),
        ({"model": "flat", "amount": "1", "tiers": []}, "price.tiers", "is not a field here"),
        ({"model": "flat", "amount": "1", "included": "1"}, "price.included", "has none"),
        ({"model": "unit", "unit_amount": "1", "included": "x"}, "price.included", "a decimal"),
        ({"model": "graduated"}, "price.tiers", "is missing; it must be a list of 1 to 100"),
        ({"model": "graduated", "tiers": []}, "price.tiers", "must be a list of 1 to 100"),
        ({"model": "graduated", "tiers": [OPEN] * 101}, "price.tiers", "1 to 100 objects"),
        ({"model": "graduated", "tiers": ["1"]}, "price.tiers[0]", "must be an object"),
        ({"model": "graduated", "tiers": [OPEN, OPEN]}, "price.tiers[0].up_to", "only the last"),
        ({"model": "graduated", "tiers": [tier("5")]}, "price.tiers[0].up_to", "must be open"),
        (
            {"model": "graduated", "tiers": [tier("5"), tier("5"), OPEN]},
            "price.tiers[1].up_to",
            "must be above 5",
        ),
        ({"model": "graduated", "tiers": [tier("0"), OPEN]}, "price.tiers[0].up_to", "above 0"),
        (
            {"model": "graduated", "tiers": [{**OPEN, "rate": "1"}]},
            "price.tiers[0].rate",
            "is not a field here",
        ),
    ],
)
def test_an_invalid_price_is_refused(value: dict[str, Any], path: str, sentence: str) -> None:
    _, errors = read(value)
    assert path in [error.path for error in errors]
    assert sentence in next(error.message for error in errors if error.path == path)


def test_all_errors_are_told_at_once() -> None:
    _, errors = read({"model": "graduated", "tiers": [tier("x", "y"), tier("3", "-1")]})
    assert [error.path for error in errors] == [
        "price.tiers[0].up_to",
        "price.tiers[0].unit_amount",
        "price.tiers[1].unit_amount",
        "price.tiers[1].up_to",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
        ("1E-12", "0.000000000001"),
        ("1e3", "1000"),
        ("0E-40", "0"),
        ("0001.50000000000000000000", "1.5"),
    ],
)
def test_a_decimal_may_be_written_in_many_ways(written: str, meant: str) -> None:
    assert price(model="flat", amount=written).fields()["amount"] == meant
