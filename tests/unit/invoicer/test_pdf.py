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
