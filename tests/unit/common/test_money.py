"""Money is rounded once, half away from zero, to the currency's minor unit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import UnknownCurrency, allocate, currencies, exponent, plain, round_line

AMOUNTS = st.decimals(
    min_value=Decimal("-1e20"), max_value=Decimal("1e20"), places=18, allow_nan=False
)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("-0.005", "EUR", "-0.01"),
        ("0.004999999999999999", "EUR", "0.00"),
        ("2.5", "JPY", "3"),
        ("-2.5", "JPY", "-3"),
        ("1.0005", "KWD", "1.001"),
        ("99999999999999999999.995", "USD", "100000000000000000000.00"),
    ],
)
def test_half_goes_away_from_zero(amount: str, currency: str, rounded: str) -> None:
    assert str(round_line(Decimal(amount), currency)) == rounded


def test_there_is_no_negative_zero() -> None:
    assert str(round_line(Decimal("-0.001"), "EUR")) == "0.00"
    assert plain(Decimal("-0")) == "0"


@given(AMOUNTS, st.sampled_from(["EUR", "JPY", "KWD"]))
def test_rounding_is_near_symmetric_and_done_once(amount: Decimal, currency: str) -> None:
    rounded = round_line(amount, currency)
    assert abs(rounded - amount) * 2 <= Decimal(1).scaleb(-exponent(currency))
    assert round_line(-amount, currency) == -rounded
    assert round_line(rounded, currency) == rounded


@pytest.mark.parametrize(
    ("code", "said"),
    [
        *((code, "is not an ISO 4217 currency") for code in ("", "usd", "EURO", "€", "ZZZ")),
        *((code, "has no minor unit") for code in ("XAU", "XXX")),
    ],
)
def test_what_is_no_currency_is_refused(code: str, said: str) -> None:
    with pytest.raises(UnknownCurrency, match=f"{code}.* {said}"):
        exponent(code)


def test_the_currencies_are_those_that_have_an_exponent() -> None:
    found = currencies()
    assert {"USD", "JPY", "KWD", "CLF"} <= set(found)
    assert "XAU" not in found
    assert found == sorted(found)
    assert all(exponent(one) >= 0 for one in found)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.500", "0.5"), ("100", "100"), ("1E-18", "0." + "0" * 17 + "1")],
)
def test_plain_has_no_exponent_and_no_needless_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@given(AMOUNTS)
def test_plain_keeps_the_value(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)


@pytest.mark.parametrize(
    ("total", "weights", "currency", "parts"),
    [
        ("6.00", "10:5", "USD", "4.00 2.00"),
        ("0.05", "1:1:1", "USD", "0.02 0.02 0.01"),
        ("-0.05", "1:1:1", "USD", "-0.02 -0.02 -0.01"),
        ("100", "1:2", "JPY", "33 67"),
        ("1.000", "1:0:1:1", "KWD", "0.334 0.000 0.333 0.333"),
        ("0.01", "0.1:0.2", "USD", "0.00 0.01"),
        ("7", "1", "USD", "7.00"),
        (f"{'1' * 40}.11", "1:1", "USD", f"{'5' * 39}.56 {'5' * 39}.55"),
    ],
)
def test_money_is_allocated_by_largest_remainder(
    total: str, weights: str, currency: str, parts: str
) -> None:
    made = allocate(Decimal(total), list(map(Decimal, weights.split(":"))), currency)
    assert [str(part) for part in made] == parts.split()


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=12).filter(any),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_parts_add_up_and_are_off_by_less_than_a_minor_unit(
    minor: int, weights: list[Decimal], currency: str
) -> None:
    unit = Decimal(1).scaleb(-exponent(currency))
    total = minor * unit
    parts = allocate(total, weights, currency)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(total) * Fraction(weight) / Fraction(sum(weights))
        assert abs(Fraction(part) - exact) < Fraction(unit)
    doubled = [2 * weight for weight in weights]
    assert allocate(total, doubled, currency) == parts


@pytest.mark.parametrize(
    ("total", "weights", "said"),
    [
        ("0.005", ["1"], "^0.005 is not in whole minor units of USD$"),
        ("1", [], "^weights must not be negative and not all be 0$"),
        ("1", ["0", "0"], "^weights must not be negative and not all be 0$"),
        ("1", ["2", "-1"], "^weights must not be negative and not all be 0$"),
    ],
)
def test_what_cannot_be_allocated_is_refused(total: str, weights: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        allocate(Decimal(total), list(map(Decimal, weights)), "USD")
