"""What holds for every price, whatever its numbers."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import exponent, round_line
from rating.exact import settle
from rating.price import Price, price_of
from rating.proration import Proration
from rating.rate import Context, Usage, rate
from rating.trial import try_price
from tests.unit.rating.prices import price, rated, tier
from tests.unit.rating.random_bodies import random_body

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


@given(graduated_prices(), quantities, st.decimals("0.000001", 10**6, places=6))
def test_graduated_is_continuous_but_for_the_flat_amounts_of_tiers_reached(
    made: Price, quantity: Decimal, step: Decimal
) -> None:
    tiers = made.fields()["tiers"]
    before, after = rated(made, quantity), rated(made, quantity + step)
    known = {line.tier for line in before.lines}
    reached = {line.tier for line in after.lines} - known
    flats = sum(Fraction(tiers[number - 1]["flat_amount"]) for number in reached if number)
    rise = Fraction(after.amount) - Fraction(before.amount) - flats
    steepest = max(Fraction(part["unit_amount"]) for part in tiers)
    assert 0 <= rise <= steepest * Fraction(step)


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


bodies = st.integers(0, 10**12).map(random_body)


def answered(body: dict[str, Any]) -> dict[str, Any]:
    answer, errors = try_price(body)
    assert not errors
    return answer


@given(bodies, st.data())
def test_billing_in_parts_ends_where_billing_at_once_does(
    body: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever the parts: each bill is what the usage so far costs, less what was billed."""
    events = body.pop("events", [])
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=3))
    shares = data.draw(st.lists(st.decimals(0, 1, places=2), max_size=3))
    bills = [body | {"events": events[:cut]} for cut in sorted(cuts)]
    if groups := body.get("groups"):
        bills += [body | {"groups": groups[:cut]} for cut in range(1, len(groups))]
    else:
        whole = max(Decimal(0), Decimal(body["quantity"]))
        with localcontext(prec=300):
            bills += [body | {"quantity": str(whole * share)} for share in sorted(shares)]
    invoiced = Decimal(0)
    with localcontext(prec=300):
        for bill in [*bills, body | {"events": events}]:
            invoiced += Decimal(answered(bill | {"invoiced": str(invoiced)})["due"])
        assert invoiced == Decimal(answered(body | {"events": events})["amount"])


@given(bodies, st.randoms())
def test_the_order_of_events_does_not_matter_where_none_is_free(
    body: dict[str, Any], dice: Any
) -> None:
    body["price"].pop("free_events", None)
    body["price"].pop("free_amount", None)
    events = list(body.get("events", []))
    dice.shuffle(events)
    assert answered(body | {"events": events})["amount"] == answered(body)["amount"]


@given(bodies)
def test_the_amount_lies_between_minimum_and_maximum(body: dict[str, Any]) -> None:
    """Of a whole period: the bounds of a fee are prorated with it."""
    if body["price"]["model"] == "flat":
        body.pop("proration", None)
    price_of_body, answer = body["price"], answered(body)
    with localcontext(prec=300):
        exact = Decimal(answer["amount"]) + Decimal(answer["residual"])
    assert exact >= Decimal(price_of_body.get("minimum", 0))
    assert exact <= Decimal(price_of_body.get("maximum", "Infinity"))


@given(bodies)
def test_nothing_used_costs_what_is_due_without_usage(body: dict[str, Any]) -> None:
    """A fee, the first tier's flat amount, a minimum; all else is 0."""
    for name in ("events", "groups", "quantity"):
        body.pop(name, None)
    asked = body["price"]
    due_anyway = {"minimum", "minimum_quantity", "amount"} & asked.keys()
    if asked["model"] == "package":
        due_anyway.discard("amount")
    if any(Decimal(first.get("flat_amount", 0)) for first in asked.get("tiers", [])[:1]):
        due_anyway.add("flat_amount")
    if not due_anyway:
        assert Decimal(answered(body)["amount"]) == 0


@pytest.mark.parametrize("currency", ["JPY", "USD", "KWD", "CLF"])
def test_a_trillion_trillionths(currency: str) -> None:
    made = price(model="unit", unit_amount="0.000000000001")
    result = rated(made, "1000000000000000000", currency)
    assert (result.amount, result.residual) == (1_000_000, 0)
    assert rated(made, "1000000000000000001", currency).amount == Decimal("1000000.000000000001")


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
    rounded = sum(rate(fee, Usage(), Context("USD", part)).rounded for part in parts)
    assert abs(rounded - amount) <= len(parts) * Decimal("0.005")


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
