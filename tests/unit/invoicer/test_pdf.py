"""The PDF: what stands on it, page breaks, and the same bytes for the same invoice."""

import re
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.contracts.charges import Charge, ChargeLine
from invoicer import pdf
from invoicer.invoice import Invoiced, Missing, draft
from invoicer.numbering import Finalised, Place, finalise
from tests.support.limits import need_program
from tests.unit.invoicer.charging import ACME, DECEMBER, NOVEMBER, OCTOBER, SELLER, charge, fee


def finalised(*charges: Charge, currency: str = "EUR", **fields: Any) -> Finalised:
    before = Invoiced(version=1, quantity=Decimal(100), amount=Decimal("1.00"))
    missing = [Missing(kind="node", name="edge-7", detail="It follows.", sealed_through=NOVEMBER)]
    tenant = msgspec.structs.replace(ACME, **fields)
    invoice = draft(
        charges,
        {"late": before},
        tenant=tenant,
        seller=SELLER,
        currency=currency,
        missing=missing,
    )
    return finalise(invoice, Place("TG", 42, "ab" * 32), id="x", issued_at=DECEMBER)


def render(made: Finalised, state: str = "finalised") -> bytes:
    return pdf.render(made.invoice, hash=made.hash, state=state)


@pytest.fixture
def text_of(tmp_path: Path) -> Any:
    """The text of a PDF, as another program reads it."""
    program = need_program("pdftotext")

    def read(content: bytes) -> str:
        file = tmp_path / "invoice.pdf"
        file.write_bytes(content)
        found = subprocess.run([program, "-layout", file, "-"], check=True, capture_output=True)
        return found.stdout.decode()

    return read


def tiers() -> Charge:
    steps = [
        ChargeLine(
            kind="tier",
            description="first 1,000,000",
            quantity=Decimal(1_000_000),
            unit_amount=Decimal("0.0002"),
            amount=Decimal(200),
            tier=1,
        ),
        ChargeLine(
            kind="tier",
            description="above 1,000,000",
            quantity=Decimal(234_567),
            unit_amount=Decimal("0.0002"),
            amount=Decimal("46.9134"),
            tier=2,
        ),
    ]
    return charge(amount="246.9134", quantity="1234567", lines=steps)


def test_everything_that_matters_stands_on_it(text_of: Any) -> None:
    late = charge("late", "1.2", "123.456", version=2, period_from=OCTOBER, period_to=NOVEMBER)
    made = finalised(fee(), tiers(), late)
    text = text_of(render(made))
    for expected in (
        "Tollgate Ltd",
        "VAT IE1234567X",
        "Acme Łódź GmbH",
        "Gleisstraße 7",
        "TG-000042",
        "1 December 2026",
        "1 Nov 2026 – 30 Nov 2026",
        "Pro (version 2)",
        "1,234,567",
        "246.91",
        "first 1,000,000: 1,000,000 × 0.0002",
        "46.9134",
        "Correction: Requests",
        "invoiced so far: 100 for 1.00",
        "Total EUR",
        "296.11",
        "What may be missing",
        "edge-7",
        "half away from zero",
        made.hash,
    ):
        assert expected in text
    assert "INTERIM" not in text


def step(description: str, amount: str, quantity: str, at: str, kind: str = "unit") -> ChargeLine:
    return ChargeLine(
        kind=kind,
        description=description,
        quantity=Decimal(quantity),
        unit_amount=Decimal(at),
        amount=Decimal(amount),
    )


def rows(*charges: Charge, before: Invoiced | None = None) -> list[tuple[str, ...]]:
    """What stands in the table: (description, quantity, unit, amount), and for each grey row below
    (text, amount)."""
    invoiced = {} if before is None else {one.id: before for one in charges}
    made = draft(charges, invoiced, tenant=ACME, seller=SELLER, currency="EUR")
    found: list[tuple[str, ...]] = []
    for group in pdf.picture(made, hash="", state="interim", as_of=None)["groups"]:
        for line in group["lines"]:
            found.append(
                tuple(line[name] for name in ("description", "quantity", "unit", "amount"))
            )
            found += [(detail["text"], detail["amount"]) for detail in line["details"]]
    return found


def test_a_step_says_once_how_it_comes_about() -> None:
    steps = [
        step("5 × 12", "60", "5", "12"),
        step("default: 2 × 0.001", "0.002", "2", "0.001"),
        step("3 of 3 included units", "0", "3", "0", "included"),
        step("first 100", "20", "100", "0.2"),
    ]
    assert rows(charge(amount="80.002", lines=steps))[1:] == [
        ("5 × 12", "60.00"),
        ("default: 2 × 0.001", "0.002"),
        ("3 of 3 included units", "0.00"),
        ("first 100: 100 × 0.20", "20.00"),
    ]


def test_a_long_quantity_is_short_on_the_line_and_whole_below_it() -> None:
    seats = charge(
        amount="18.6", quantity="1.550335570469798657", description="Seats", unit="seats"
    )
    assert rows(seats) == [
        ("Seats", "≈ 1.5503", "seats", "18.60"),
        ("quantity in full: 1.550335570469798657 seats", ""),
    ]


def test_a_part_of_a_fee_says_which() -> None:
    said = "Fee, 1,944,000 of 2,678,400 seconds"
    part = step(said, "35.564516129032258064", "0.725806451612903226", "49", "flat")
    assert rows(fee(amount="35.564516129032258064", lines=[part])) == [
        ("Platform", "", "", "35.56"),
        (f"{said}: ≈ 0.7258 × 49.00", "35.564516129032258064"),
    ]
    whole = step("Fee", "49", "1", "49", "flat")
    assert rows(fee(lines=[whole])) == [("Platform", "", "", "49.00")]


def test_nothing_used_for_nothing_is_one_row() -> None:
    steps = [step("0 × 5", "0", "0", "5")]
    assert rows(charge(amount="0", quantity="0", lines=steps)) == [
        ("Requests", "0", "requests", "0.00")
    ]
    free = rows(charge(amount="0", quantity="7", lines=[step("7 × 0", "0", "7", "0")]))
    assert free == [("Requests", "7", "requests", "0.00"), ("7 × 0", "0.00")]
    before = Invoiced(version=1, quantity=Decimal(5), amount=Decimal("0.00"))
    more = rows(charge(amount="0", quantity="7", version=2, lines=steps), before=before)
    assert more == [
        ("Correction: Requests", "2", "requests", "0.00"),
        ("invoiced so far: 5 for 0.00", ""),
    ]


def test_a_heading_stays_with_its_first_line(text_of: Any) -> None:
    first = [charge(f"c{i:03}", "1", description=f"Service {i}") for i in range(36)]
    alone = charge("z", "1", description="Alone", subscription="s2", plan_name="Second")
    for count in range(24, 37):
        pages = text_of(render(finalised(*first[:count], alone))).split("\f")
        [page] = [page for page in pages if "Second (version 2)" in page]
        assert "Alone" in page, f"after {count} lines"


@pytest.mark.parametrize("state", ["interim", "finalised"])
def test_what_is_owed_to_the_customer_is_a_credit(text_of: Any, state: str) -> None:
    less = charge("late", "0.5", version=2)
    made = finalised(less)
    assert made.invoice.total < 0
    assert "Credit in your favour" in text_of(render(made, state))
    assert "Credit in your favour" not in text_of(render(finalised(fee(), less), state))


def test_the_sentences_of_the_foot_end(text_of: Any) -> None:
    assert "time zone Europe/Berlin; where an end" in " ".join(
        text_of(render(finalised(fee()))).split()
    )


def test_the_same_invoice_is_the_same_bytes() -> None:
    made = finalised(fee(), tiers())
    content = render(made)
    assert content == render(made)
    assert content.startswith(b"%PDF")


def test_an_interim_invoice_says_so(text_of: Any) -> None:
    invoice = draft([fee()], {}, tenant=ACME, seller=SELLER, currency="EUR")
    content = pdf.render(invoice, hash="0" * 64, state="interim", as_of=DECEMBER)
    text = text_of(content)
    assert "INTERIM" in text
    assert "not a demand for payment" in text
    assert "Usage as of" in text


def test_an_empty_interim_invoice_is_still_a_page(text_of: Any) -> None:
    invoice = draft([], {}, tenant=ACME, seller=SELLER, currency="EUR")
    assert "Nothing is due" in text_of(pdf.render(invoice, hash="0" * 64, state="interim"))


def test_many_lines_break_pages_under_a_repeated_head(text_of: Any) -> None:
    charges = [charge(f"c{i:03}", "1.005", description=f"Service {i}") for i in range(150)]
    pages = text_of(render(finalised(*charges))).split("\f")[:-1]
    assert len(pages) > 3
    assert all("DESCRIPTION" in page and "AMOUNT EUR" in page for page in pages[:-1])
    assert f"Page 2 of {len(pages)}" in pages[1]
    assert "151.50" in pages[-1]


@pytest.mark.parametrize(
    ("currency", "printed"), [("JPY", "1,235"), ("KWD", "1,234.568"), ("CLF", "1,234.5678")]
)
def test_amounts_have_the_currencys_decimals(text_of: Any, currency: str, printed: str) -> None:
    made = finalised(charge(amount="1234.5678", currency=currency), currency=currency)
    assert f" {printed}\n" in text_of(render(made))


def test_text_is_text_whatever_is_in_it(text_of: Any) -> None:
    name = '#strong[x] $y$ `z` \\ " <a> @b *c* _d_ // e'
    made = finalised(charge(description=name), name=name, address=["#panic()", "Ωμέγα 東京"])
    text = text_of(render(made))
    assert "#strong[x] $y$" in text
    assert "#panic()" in text
    assert "Ωμέγα" in text


def test_long_words_stay_on_the_page(tmp_path: Path) -> None:
    word = "x" * 600
    made = finalised(
        charge(description=word, subscription=word, unit=word), name=word, address=[word]
    )
    file = tmp_path / "invoice.pdf"
    file.write_bytes(render(made))
    boxes = subprocess.run(
        [need_program("pdftotext"), "-bbox", file, "-"], check=True, capture_output=True
    ).stdout.decode()
    right_edges = [float(x) for x in re.findall(r'<word [^>]*xMax="([0-9.]+)"', boxes)]
    assert max(right_edges) <= 595.3 - 50  # A4 less the margin, in points
    assert boxes.count("x" * 10) > 5
