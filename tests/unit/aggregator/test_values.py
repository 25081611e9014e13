"""Reading values out of data: exact, bounded, never an exception."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.values import Reason, dimension, excerpt, lookup, member, number, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-3, -3),
        (Decimal("0.1"), Decimal("0.1")),
        (Decimal("-0"), 0),
        ("12.50", Decimal("12.5")),
        ("1e3", 1000),
        (10**20 - 1, 10**20 - 1),
        (Decimal("1E+19"), 10**19),
        (Decimal("1." + "0" * 5000), 1),
        (Decimal("0.000000000000000001"), Decimal("1E-18")),
        (Decimal("0E-999999"), 0),
    ],
)
def test_numbers_are_exact(value: Any, expected: Any) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.missing),
        (True, Reason.not_a_number),
        (False, Reason.not_a_number),
        ([], Reason.not_a_number),
        ({}, Reason.not_a_number),
        ("", Reason.not_a_number),
        ("NaN", Reason.not_a_number),
        ("Infinity", Reason.not_a_number),
        ("1,5", Reason.not_a_number),
        (" 1", Reason.not_a_number),
        ("1_000", Reason.not_a_number),
        ("٣", Reason.not_a_number),
        ("1" * 65, Reason.not_a_number),
        (10**20, Reason.out_of_range),
        (10**400, Reason.out_of_range),
        (Decimal("1E+20"), Reason.out_of_range),
        (Decimal("1E+99999999999"), Reason.out_of_range),
        (Decimal("1E-19"), Reason.out_of_range),
        (Decimal("1E-99999999999"), Reason.out_of_range),
        ("1e9999", Reason.out_of_range),
        (Decimal("0." + "1" * 19), Reason.out_of_range),
    ],
)
def test_what_is_no_number_has_a_reason(value: Any, reason: Reason) -> None:
    assert number(value) is reason


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
@example(10**5000)
def test_nothing_raises(value: Any) -> None:
    assert isinstance(number(value), Reason | int | Decimal)
    assert isinstance(member(value), Reason | str)
    assert isinstance(dimension(value, 256), str)
    assert isinstance(excerpt(value), str)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_that_is_read_fits_its_column(value: Decimal) -> None:
    found = number(value)
    if isinstance(found, Reason):
        return
    assert found == value
    exponent = Decimal(found).as_tuple().exponent
    assert isinstance(exponent, int)
    assert exponent >= -18
    assert abs(Decimal(found)) < 10**20


def test_members_are_told_apart_by_their_text() -> None:
    assert member(42) == member("42") == member(Decimal("42.0"))
    assert member("a") != member("b")
    assert member("\ud800") != member("\udfff")
    assert member("") is Reason.missing
    assert member(True) is Reason.not_a_member
    assert member({}) is Reason.not_a_member


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eu-1", "eu-1"),
        (200, "200"),
        (Decimal("2.50"), "2.5"),
        (True, "true"),
        (None, ""),
        ([1], ""),
        ({"a": 1}, ""),
        (10**30, ""),
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_an_odd_dimension_is_empty_and_a_text_is_storable(value: Any, expected: str) -> None:
    assert dimension(value, 256) == expected


@given(st.text(st.characters(), max_size=2000), st.integers(130, 256))
@example("\x01" * 300, 256)
@example("\U0001f600" * 300, 130)
def test_dimensions_are_short_and_storable(text: str, budget: int) -> None:
    found = dimension(text, budget)
    assert len(msgspec.json.encode(found)) - 2 <= budget
    assert "\0" not in found
    found.encode()


def test_long_dimensions_that_differ_stay_different() -> None:
    one, other = "x" * 1000 + "1", "x" * 1000 + "2"
    assert dimension(one, 256) != dimension(other, 256)


def test_lookup_goes_through_objects_only() -> None:
    data = json.loads('{"a": {"b": 1}, "l": [5], "s": "text"}')
    assert lookup(data, ("a", "b")) == 1
    for path in (("a", "c"), ("l", "0"), ("s", "x"), ("a", "b", "c")):
        assert lookup(data, path) is None
    assert lookup("text", ("a",)) is None


def test_plain_text_of_numbers() -> None:
    assert [plain(Decimal(text)) for text in ("1.50", "1E+3", "-0.0", "0.010", "100")] == [
        "1.5",
        "1000",
        "0",
        "0.01",
        "100",
    ]
