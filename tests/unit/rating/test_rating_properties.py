"""What holds for every price, whatever its numbers."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from common.money import exponent, round_line
from rating.exact import settle
from rating.price import Price, price_of
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from tests.unit.rating.prices import price, rated, tier

amounts = st.decimals(0, 10**6, places=12)
quantities = st.decimals(0, 10**18, places=6)
currencies = st.sampled_from(["JPY", "USD", "KWD", "CLF"])


@st.composite
def graduated_prices(draw: st.DrawFn) -> Price:
    ends = sorted(draw(st.sets(st.decimals("0.01", 10**9, places=2), max_size=5)))
    tiers = [tier(str(end), str(draw(amounts)), str(draw(amounts))) for end in ends]
    return price(model="graduated", tiers=[*tiers, tier(None, str(draw(amounts)))])


def independent(made: Price, quantity: Decimal) -> Fraction:
    """Graduated pricing once more, in fractions, tier by tier from the definition."""
    total, floor = Fraction(0), Fraction(0)
    units = Fraction(quantity)
    for index, part in enumerate(made.fields()["tiers"]):
        end = None if part["up_to"] is None else Fraction(part["up_to"])
        if index == 0 or units > floor:
            inside = (units if end is None else min(units, end)) - floor
            total += inside * Fraction(part["unit_amount"]) + Fraction(part["flat_amount"])
        floor = end if end is not None else floor
    return total


@given(graduated_prices(), quantities)
def test_graduated_agrees_with_fractions(made: Price, quantity: Decimal) -> None:
    result = rated(made, quantity)
    assert Fraction(result.amount) == independent(made, quantity)
    assert sum(Fraction(line.amount) for line in result.lines) == result.amount


@given(graduated_prices(), quantities, quantities)
def test_more_never_costs_less(made: Price, one: Decimal, other: Decimal) -> None:
    less, more = sorted([one, other])
    assert rated(made, less).amount <= rated(made, more).amount


@given(amounts, quantities)
def test_unit_is_the_exact_product(unit_amount: Decimal, quantity: Decimal) -> None:
    result = rated(price(model="unit", unit_amount=str(unit_amount)), quantity)
    assert Fraction(result.amount) == Fraction(unit_amount) * Fraction(quantity)


@given(amounts, quantities, quantities)
def test_included_units_cost_nothing_and_the_rest_costs_as_without(
    unit_amount: Decimal, included: Decimal, quantity: Decimal
) -> None:
    plain = price(model="unit", unit_amount=str(unit_amount))
    made = price(model="unit", unit_amount=str(unit_amount), included=str(included))
    rest = max(Decimal(0), quantity - included)
    assert rated(made, quantity).amount == rated(plain, rest).amount


@given(graduated_prices(), st.lists(quantities, min_size=1, max_size=6))
def test_rating_step_by_step_ends_where_rating_at_once_does(
    made: Price, parts: list[Decimal]
) -> None:
    invoiced, used = Decimal(0), Decimal(0)
    with localcontext(prec=200):
        for part in parts:
            used += part
            invoiced += rated(made, used).amount - invoiced
        assert invoiced == rated(made, sum(parts)).amount


@given(
    amounts,
    st.lists(st.integers(1, 2_678_399), max_size=5, unique=True),
    st.sampled_from(["second", "day"]),
)
def test_parts_of_a_prorated_period_add_up_to_the_whole(
    amount: Decimal, cuts: list[int], granularity: str
) -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    edges = [start, *(start + timedelta(seconds=cut) for cut in sorted(cuts)), end]
    parts = [
        Proration(one, other, start, end, "UTC", granularity)  # type: ignore[arg-type]
        for one, other in pairwise(edges)
    ]
    assert sum(part.share() for part in parts) == 1
    fee = price(model="flat", amount=str(amount))
    total = sum(rate(fee, Usage(), Context("USD", part)).amount for part in parts)
    assert abs(total - amount) <= len(parts) * Decimal("1e-18")


@given(
    st.fractions(-(10**9), 10**9, max_denominator=3 * 10**9),
    currencies,
)
def test_settling_before_rounding_changes_no_rounding(value: Fraction, currency: str) -> None:
    scaled = abs(value) * 10 ** exponent(currency)
    away = (scaled + Fraction(1, 2)).__floor__() * (1 if value >= 0 else -1)
    assert round_line(settle(value), currency) == Decimal(away).scaleb(-exponent(currency))


@given(st.integers(-(10**30), 10**30), st.integers(19, 40), currencies)
def test_settling_a_long_decimal_changes_no_rounding(
    digits: int, places: int, currency: str
) -> None:
    with localcontext(prec=100):
        value = Decimal(digits).scaleb(-places)
        quantum = Decimal(1).scaleb(-exponent(currency))
        assert round_line(settle(value), currency) == value.quantize(quantum, ROUND_HALF_UP)


@given(graduated_prices(), quantities, currencies)
def test_rounded_and_residual_make_the_amount(
    made: Price, quantity: Decimal, currency: str
) -> None:
    result = rated(made, quantity, currency)
    with localcontext(prec=200):
        assert result.rounded + result.residual == result.amount
        assert abs(result.residual) * 2 <= Decimal(1).scaleb(-exponent(currency))


@given(graduated_prices())
def test_the_canonical_form_reads_back_as_the_same_price(made: Price) -> None:
    assert price_of(made.fields()) == made
