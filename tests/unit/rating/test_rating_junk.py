"""Whatever is put into a body, it is priced or refused with paths and sentences, at once."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from rating.errors import FIELDS
from rating.trial import try_price
from tests.unit.rating.random_bodies import random_body

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        [
            "NaN",
            "Infinity",
            "-Infinity",
            "sNaN",
            "1e400",
            "-0",
            "0",
            "1e-19",
            "1e19",
            "1e99",
            "9" * 100,
        ]
    ),
    st.sampled_from(
        [
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "1900-01-01T00:00:00Z",
            "2199-12-31T23:59:59Z",
        ]
    ),
    st.sampled_from(["flat", "unit", "percentage", "matrix", "day", "America/New_York", "ceiling"]),
    st.sampled_from([[], {}, [[]], [{}], {"": ""}, [[[[]]]], {"percent": "50"}, {"cap": "1"}]),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inside if isinstance(value, dict | list) else ():
        found.append((*at, key))
        if isinstance(item, dict | list):
            found += places(item, (*at, key))
    return found


def replaced(body: dict[str, Any], place: tuple[Any, ...], junk: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = junk
    assert isinstance(changed, dict)
    return changed


@given(st.integers(0, 10**9).map(random_body), st.data())
def test_a_body_with_junk_in_it_is_priced_or_refused(
    body: dict[str, Any], data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(body)))
        body = replaced(body, place, data.draw(JUNK))
    answer, errors = try_price(body)
    assert bool(answer) != bool(errors)
    for error in errors:
        assert error.path
        assert error.message
        assert error.code in FIELDS


@given(st.dictionaries(st.text(max_size=8), JUNK, max_size=5), JUNK)
def test_a_body_of_junk_is_refused(body: dict[str, Any], price: Any) -> None:
    for made in (body, body | {"price": price}, body | {"price": body}):
        assert try_price(made)[1]


@pytest.mark.parametrize("currency", list(Currency), ids=lambda currency: currency.code)
def test_every_currency_with_a_minor_unit_is_taken_and_no_other(currency: Any) -> None:
    price = {"model": "flat", "amount": "1234.56789"}
    answer, errors = try_price({"currency": currency.code, "price": price})
    if currency.exponent is None:
        assert [(error.path, error.code) for error in errors] == [("currency", "unknown_currency")]
    else:
        rounded = {0: "1235", 2: "1234.57", 3: "1234.568", 4: "1234.5679"}
        assert answer["amount"] == rounded[currency.exponent]
