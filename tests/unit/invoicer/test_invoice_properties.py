"""What holds for any charges: sums, exponents, splits, corrections in any number of steps."""

from decimal import Decimal
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from common.money import exponent, round_line
from invoicer.canonical import canonical
from invoicer.invoice import Invoiced, draft
from tests.unit.invoicer.charging import ACME, SELLER, charge

currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])
amounts = st.decimals(-(10**12), 10**12, places=9)
quantities = st.decimals(0, 10**15, places=6)


@given(st.lists(amounts, max_size=20), currencies)
def test_the_total_is_the_sum_of_lines_of_the_currencys_decimals(
    given_amounts: list[Decimal], currency: str
) -> None:
    charges = [
        charge(f"c{i}", str(amount), currency=currency) for i, amount in enumerate(given_amounts)
    ]
    invoice = draft(charges, {}, tenant=ACME, seller=SELLER, currency=currency)
    assert invoice.total == sum((line.amount for line in invoice.lines), Decimal(0))
    for line in invoice.lines:
        assert -line.amount.as_tuple().exponent == exponent(currency)  # type: ignore[operator]
        assert abs(line.residual) * 2 <= Decimal(1).scaleb(-exponent(currency))
    assert len(invoice.lines) == len(charges)


@given(st.lists(amounts, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_charges_does_not_matter(given_amounts: list[Decimal], random: object) -> None:
    charges = [charge(f"c{i}", str(amount)) for i, amount in enumerate(given_amounts)]
    shuffled = list(charges)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        draft(some, {}, tenant=ACME, seller=SELLER, currency="EUR") for some in (charges, shuffled)
    )
    assert canonical(one) == canonical(other)


@given(st.lists(st.tuples(amounts, quantities), min_size=1, max_size=8), currencies)
def test_however_often_a_charge_is_corrected_it_costs_its_last_amount(
    versions: list[tuple[Decimal, Decimal]], currency: str
) -> None:
    held: Invoiced | None = None
    for version, (amount, quantity) in enumerate(versions, start=1):
        one = charge(amount=str(amount), quantity=str(quantity), currency=currency, version=version)
        invoice = draft(
            [one], {"c1": held} if held else {}, tenant=ACME, seller=SELLER, currency=currency
        )
        for line in invoice.lines:
            held = Invoiced(
                version=version,
                quantity=(held.quantity if held else 0) + line.quantity,
                amount=(held.amount if held else 0) + line.amount,
            )
            assert line.residual == amount - held.amount
    assert held is not None
    last_amount, last_quantity = versions[-1]
    assert held.amount == round_line(last_amount, currency)
    assert held.quantity == last_quantity


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=10))
def test_a_charge_split_at_whole_cents_costs_the_same(cents: list[int]) -> None:
    parts = [Decimal(cent) / 100 for cent in cents]
    split = [charge(f"c{i}", str(part)) for i, part in enumerate(parts)]
    whole = charge("whole", str(list(accumulate(parts))[-1]))
    totals = {
        draft(some, {}, tenant=ACME, seller=SELLER, currency="EUR").total
        for some in (split, [whole])
    }
    assert len(totals) == 1
