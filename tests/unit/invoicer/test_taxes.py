"""Taxes and wallets: what is added to the net amount, on what, and who pays it."""

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.tenants import Tax, TenantTax
from common.money import round_line
from invoicer import pdf
from invoicer.canonical import canonical, parse
from invoicer.invoice import Invoice, Invoiced, draft
from invoicer.tax import taxes_at
from tests.unit.invoicer.charging import ACME, DECEMBER, SELLER, charge, fee

JANUARY = DECEMBER + timedelta(days=31)

VAT = TenantTax(name="VAT", percent=Decimal(20))
REVERSED = TenantTax(name="VAT", percent=Decimal(0), note="Reverse charge")


def invoiced(
    *amounts: str,
    taxes: tuple[TenantTax, ...] = (VAT,),
    currency: str = "USD",
    before: dict[str, Invoiced] | None = None,
    balance: str = "0",
) -> Invoice:
    """The invoice of charges c0, c1, ... with those amounts."""
    return draft(
        [charge(f"c{i}", amount, currency=currency, version=2) for i, amount in enumerate(amounts)],
        before or {},
        tenant=msgspec.structs.replace(ACME, taxes=list(taxes)),
        seller=SELLER,
        currency=currency,
        balance=Decimal(balance),
    )


def was(amount: str, *taxes: Tax) -> dict[str, Invoiced]:
    """c0 stands on an invoice with that amount and those taxes."""
    held = Invoiced(version=1, quantity=Decimal(1), amount=Decimal(amount), taxes=list(taxes))
    return {"c0": held}


RISING = [
    TenantTax(name="VAT", percent=Decimal(21), since=date(2026, 12, 1)),
    TenantTax(name="VAT", percent=Decimal(20)),
    TenantTax(name="VAT", percent=Decimal(19), since=date(2026, 6, 1)),
    TenantTax(name="Levy", percent=Decimal(1), since=date(2027, 1, 1)),
]


@pytest.mark.parametrize(
    ("day", "percents"),
    [
        (date(2026, 5, 31), [20]),
        (date(2026, 6, 1), [19]),
        (date(2026, 11, 30), [19]),
        (date(2026, 12, 1), [21]),
        (date(2027, 1, 1), [21, 1]),
    ],
)
def test_the_taxes_of_a_day(day: date, percents: list[int]) -> None:
    assert [tax.percent for tax in taxes_at(RISING, day)] == percents


def test_usage_is_taxed_as_of_its_last_day_and_what_is_paid_in_advance_as_of_its_first() -> None:
    """November in Berlin, invoiced after the first of December, on which the tax rises."""
    advance = fee("next", "100", period_from=DECEMBER, period_to=JANUARY, due_at=DECEMBER)
    invoice = draft(
        [charge("c", "100"), advance],
        {},
        tenant=msgspec.structs.replace(ACME, taxes=RISING),
        seller=SELLER,
        currency="EUR",
    )
    assert {line.charge: line.taxes[0].percent for line in invoice.lines} == {"c": 19, "next": 21}
    assert invoice.total == Decimal("240.00")


def test_a_fee_with_tax() -> None:
    invoice = invoiced("38.7096774193548387096774")
    assert (invoice.subtotal, invoice.total) == (Decimal("38.71"), Decimal("46.45"))


def test_a_tax_is_of_the_sum_of_its_lines_and_rounded_once() -> None:
    amounts = ("68.33", "68.33", "57.50", "85.00")
    invoice = invoiced(*amounts)
    (tax,) = invoice.taxes
    assert (tax.basis, tax.amount) == (Decimal("279.16"), Decimal("55.83"))
    assert invoice.total == Decimal("334.99")
    a_line = [round_line(Decimal(amount) * Decimal("1.2"), "USD") for amount in amounts]
    assert sum(a_line) == Decimal("335.00")


def test_a_wallet_pays_after_tax() -> None:
    sales = TenantTax(name="Sales tax", percent=Decimal("8.25"))
    invoice = invoiced("70", taxes=(sales,), balance="5")
    assert invoice.taxes[0].amount == Decimal("5.78")
    assert (invoice.total, invoice.paid_from_wallet) == (Decimal("75.78"), Decimal("5.00"))
    assert invoice.payable == Decimal("70.78")


def test_a_wallet_pays_no_more_than_the_total() -> None:
    invoice = invoiced("10", balance="100")
    assert (invoice.paid_from_wallet, invoice.payable) == (Decimal("12.00"), Decimal("0.00"))


def test_a_credit_leaves_the_wallet_alone_and_gives_the_tax_back() -> None:
    invoice = invoiced("4", before=was("10", VAT), balance="100")
    assert invoice.taxes[0].amount == Decimal("-1.20")
    assert invoice.total == invoice.payable == Decimal("-7.20")
    assert invoice.paid_from_wallet == 0


def test_several_taxes_are_each_of_the_net_amount() -> None:
    regional = TenantTax(name="QST", percent=Decimal("9.975"))
    federal = TenantTax(name="GST", percent=Decimal(5))
    invoice = invoiced("100.10", taxes=(federal, regional))
    assert [(tax.name, tax.amount) for tax in invoice.taxes] == [
        ("GST", Decimal("5.01")),
        ("QST", Decimal("9.98")),
    ]
    assert invoice.total == Decimal("115.09")


def test_without_taxes_the_total_is_the_net_amount() -> None:
    invoice = invoiced("10", taxes=())
    assert (invoice.taxes, invoice.total) == ([], Decimal("10.00"))


def test_a_tax_of_nothing_is_said() -> None:
    (tax,) = invoiced("10", taxes=(REVERSED,)).taxes
    assert (tax.note, tax.basis, tax.amount) == ("Reverse charge", Decimal(10), Decimal(0))


def test_a_correction_is_taxed_as_its_charge_was() -> None:
    higher = TenantTax(name="VAT", percent=Decimal(21))
    invoice = invoiced("110", "50", taxes=(higher,), before=was("100", VAT))
    assert [(tax.percent, tax.basis, tax.amount) for tax in invoice.taxes] == [
        (Decimal(21), Decimal(50), Decimal("10.50")),
        (Decimal(20), Decimal(10), Decimal("2.00")),
    ]


def test_a_correction_of_what_was_invoiced_without_tax_has_none() -> None:
    invoice = invoiced("110", before=was("100"))
    assert (invoice.taxes, invoice.total) == ([], Decimal("10.00"))


def test_what_was_settled_without_a_line_is_taxed_as_new() -> None:
    never = Invoiced(version=1, quantity=Decimal(0), amount=Decimal(0), taxes=None)
    invoice = invoiced("10", before={"c0": never})
    assert invoice.total == Decimal("12.00")
    assert (invoice.lines[0].kind, invoice.lines[0].adjusts) == ("usage", None)


def test_taxes_are_rounded_to_the_currencys_minor_unit() -> None:
    assert invoiced("333", currency="JPY", taxes=(VAT,)).taxes[0].amount == Decimal(67)
    assert invoiced("0.005", currency="KWD").taxes[0].amount == Decimal("0.001")


amounts = st.decimals(-(10**9), 10**9, places=4).map(str)
percents = st.decimals(0, 100, places=4)


@given(
    st.lists(amounts, max_size=8),
    st.lists(percents, max_size=3),
    st.decimals(0, 10**9, places=2).map(str),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_everything_adds_up(
    given_amounts: list[str], given_percents: list[Decimal], balance: str, currency: str
) -> None:
    taxes = tuple(TenantTax(name=f"T{i}", percent=one) for i, one in enumerate(given_percents))
    balance = str(round_line(Decimal(balance), currency))
    invoice = invoiced(*given_amounts, taxes=taxes, currency=currency, balance=balance)
    assert invoice.total == invoice.subtotal + sum(tax.amount for tax in invoice.taxes)
    assert invoice.payable == invoice.total - invoice.paid_from_wallet
    assert 0 <= invoice.paid_from_wallet <= max(Decimal(0), invoice.total)
    assert invoice.paid_from_wallet <= Decimal(balance)
    assert not (invoice.payable > 0 and invoice.paid_from_wallet < Decimal(balance))
    for tax in invoice.taxes:
        assert tax.basis == invoice.subtotal
        assert tax.amount == round_line(tax.basis * tax.percent / 100, currency)


def test_an_invoice_of_before_there_were_taxes_can_be_read() -> None:
    said = msgspec.json.decode(canonical(invoiced("10", taxes=())))
    for name in ("taxes", "paid_from_wallet", "payable"):
        del said[name]
    del said["lines"][0]["taxes"]
    read = parse(msgspec.json.encode(said | {"v": 1}))
    assert (read.v, read.payable, read.taxes) == (1, Decimal("10.00"), [])
    assert parse(canonical(read)) == read


def test_the_pdf_says_each_tax_and_what_the_wallet_paid() -> None:
    made = pdf.picture(
        invoiced("1000", "50", taxes=(REVERSED,), before=was("100", VAT), balance="5"),
        hash="",
        state="finalised",
        as_of=None,
    )
    assert made["taxes"] == [
        {"text": "VAT 0 % of 50.00", "note": "VAT 0 %: Reverse charge", "amount": "0.00"},
        {"text": "VAT 20 % of 900.00", "note": "", "amount": "180.00"},
    ]
    assert (made["total"], made["from_wallet"], made["payable"]) == (
        "1,130.00",
        "−5.00",
        "1,125.00",
    )
    lines = [line["details"][-1]["text"] for group in made["groups"] for line in group["lines"]]
    assert lines == ["VAT 0 %", "VAT 20 %"]


@pytest.mark.parametrize(("taxes", "balance"), [((), "0"), ((VAT,), "0"), ((), "5")])
def test_the_pdf_says_only_what_there_is(taxes: tuple[TenantTax, ...], balance: str) -> None:
    invoice = invoiced("10", "20", taxes=taxes, balance=balance)
    made = pdf.picture(invoice, hash="", state="finalised", as_of=None)
    assert bool(made["taxes"]) == bool(taxes)
    assert bool(made["from_wallet"]) == (balance != "0")
    assert all(not line["details"] for group in made["groups"] for line in group["lines"])


def test_the_buyers_vat_id_is_on_the_invoice() -> None:
    tenant = msgspec.structs.replace(ACME, vat_id="DE123456789")
    invoice = draft([fee()], {}, tenant=tenant, seller=SELLER, currency="EUR")
    made = pdf.picture(invoice, hash="", state="finalised", as_of=None)
    assert made["buyer"]["vat_id"] == invoice.buyer.vat_id == "DE123456789"
