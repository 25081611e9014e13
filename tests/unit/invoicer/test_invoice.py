"""Drafting: charges in, lines and totals out."""

from decimal import Decimal

import pytest

from invoicer.invoice import DraftError, Invoice, Invoiced, draft
from tests.unit.invoicer.charging import ACME, DECEMBER, NOVEMBER, OCTOBER, SELLER, charge, fee


def drafted(*charges: object, invoiced: dict[str, Invoiced] | None = None) -> Invoice:
    return draft(
        charges,  # type: ignore[arg-type]
        invoiced or {},
        tenant=ACME,
        seller=SELLER,
        currency="EUR",
    )


def test_a_months_invoice_is_its_fee_and_its_usage() -> None:
    invoice = drafted(charge(amount="246.9134", quantity="1234567"), fee(amount="49"))
    assert [(line.kind, line.description, line.amount) for line in invoice.lines] == [
        ("fee", "Platform", Decimal("49.00")),
        ("usage", "Requests", Decimal("246.91")),
    ]
    assert invoice.lines[1].residual == Decimal("0.0034")
    assert invoice.total == invoice.subtotal == Decimal("295.91")
    assert (invoice.period_from, invoice.period_to) == (NOVEMBER, DECEMBER)
    assert invoice.buyer.name == "Acme Łódź GmbH"
    assert invoice.number is None


def test_each_line_is_rounded_once_and_the_total_is_their_sum() -> None:
    invoice = drafted(charge("a", "0.005"), charge("b", "0.005"), charge("c", "0.005"))
    assert [line.amount for line in invoice.lines] == [Decimal("0.01")] * 3
    assert invoice.total == Decimal("0.03")  # not 0.02, the rounded sum of 0.015


def test_rounding_is_half_away_from_zero_on_both_sides() -> None:
    assert drafted(charge(amount="1.005")).total == Decimal("1.01")
    assert drafted(charge(amount="-1.005")).total == Decimal("-1.01")


def test_late_usage_of_an_invoiced_charge_is_the_difference() -> None:
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("10.00"))
    late = charge(amount="12.5", quantity="125", version=2)
    (line,) = drafted(late, invoiced={"c1": before}).lines
    assert (line.kind, line.quantity, line.amount) == ("adjustment", Decimal(25), Decimal("2.50"))
    assert line.adjusts == before
    assert line.charge_version == 2


def test_corrections_do_not_drift_by_rounding_twice() -> None:
    # 10.004 was invoiced as 10.00; the true amount becomes 10.008, which is 10.01.
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("10.00"))
    (line,) = drafted(
        charge(amount="10.008", quantity="101", version=2), invoiced={"c1": before}
    ).lines
    assert line.amount == Decimal("0.01")
    assert line.residual == Decimal("-0.002")


def test_a_withdrawn_charge_is_given_back_or_never_shown() -> None:
    gone = charge(amount="0", quantity="0", version=2, withdrawn=True)
    assert drafted(gone).lines == []
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("12.34"))
    (line,) = drafted(gone, invoiced={"c1": before}).lines
    assert (line.amount, line.quantity) == (Decimal("-12.34"), Decimal(-100))


def test_a_new_version_that_changes_nothing_is_no_line() -> None:
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("12.34"))
    assert drafted(charge(version=2), invoiced={"c1": before}).lines == []


def test_lines_stand_by_subscription_and_period_with_corrections_last() -> None:
    before = Invoiced(version=1, quantity=Decimal(1), amount=Decimal(1))
    invoice = drafted(
        charge("correction", version=2, period_from=OCTOBER, period_to=NOVEMBER),
        charge("z", subscription="s2"),
        charge("b"),
        fee("a"),
        invoiced={"correction": before},
    )
    assert [line.charge for line in invoice.lines] == ["a", "b", "z", "correction"]
    assert [line.position for line in invoice.lines] == [1, 2, 3, 4]
    assert (invoice.period_from, invoice.period_to) == (NOVEMBER, DECEMBER)


def test_what_is_worth_an_invoice() -> None:
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("12.34"))
    assert drafted(charge(amount="0", quantity="0")).is_worth_issuing
    assert not drafted().is_worth_issuing
    more = charge(amount="12.34", quantity="101", version=2)
    assert not drafted(more, invoiced={"c1": before}).is_worth_issuing
    assert drafted(more, fee(amount="0"), invoiced={"c1": before}).is_worth_issuing


def test_corrections_may_exceed_what_is_due() -> None:
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("60.00"))
    less = charge(amount="0", quantity="0", version=2)
    assert drafted(less, fee(amount="49"), invoiced={"c1": before}).total == Decimal("-11.00")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tenant": "other"}, "belongs to other"),
        ({"currency": "USD"}, "is in USD"),
        ({"amount": "NaN"}, "NaN"),
        ({"quantity": "Infinity"}, "Infinity"),
    ],
)
def test_charges_that_do_not_belong_are_refused(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(DraftError, match=reason):
        drafted(charge(**fields))


def test_a_currency_without_minor_unit_cannot_be_invoiced() -> None:
    with pytest.raises(DraftError, match="XAU"):
        draft([charge(currency="XAU")], {}, tenant=ACME, seller=SELLER, currency="XAU")
