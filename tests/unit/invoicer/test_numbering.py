"""Numbers, canonical bytes and the chain of hashes."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from invoicer.canonical import GENESIS, canonical, content_hash, parse
from invoicer.invoice import draft
from invoicer.numbering import SERIES, Finalised, Place, finalise, format_number
from tests.unit.invoicer.charging import ACME, SELLER, charge, fee

ISSUED = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


def finalised(place: Place, amount: str = "12.345") -> Finalised:
    invoice = draft(
        [charge(amount=amount, quantity="1E+3"), fee()],
        {},
        tenant=ACME,
        seller=SELLER,
        currency="EUR",
    )
    return finalise(invoice, place, id="some-id", issued_at=ISSUED)


def test_the_number_names_its_series() -> None:
    made = finalised(Place("TG", 42)).invoice
    assert (made.number, made.series, made.issued_at) == ("TG-000042", "TG", ISSUED)
    assert format_number("EU/26", 1_234_567) == "EU/26-1234567"
    with pytest.raises(ValueError, match="begin at 1"):
        format_number("TG", 0)


@pytest.mark.parametrize("series", ["", "tg", "-A", "A B", "A" * 21, "Ä"])
def test_a_series_is_printable_and_short(series: str) -> None:
    assert SERIES.fullmatch(series) is None


def test_canonical_json_can_be_made_by_anybody() -> None:
    document = finalised(Place("TG", 1)).document
    value = json.loads(document)
    again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document.decode() == again
    assert value["lines"][1]["quantity"] == "1000"
    assert value["lines"][1]["amount"] == "12.35"
    assert value["issued_at"] == "2026-12-01T09:30:00Z"


def test_it_reads_back_as_it_was() -> None:
    made = finalised(Place("TG", 1))
    assert parse(made.document) == made.invoice
    assert canonical(parse(made.document.decode())) == made.document


def test_each_invoice_seals_the_one_before_it() -> None:
    first = finalised(Place("TG", 1))
    second = finalised(Place("TG", 2, first.hash))
    assert first.invoice.previous_hash == GENESIS
    assert second.invoice.previous_hash == first.hash
    assert first.hash == hashlib.sha256(first.document).hexdigest()


def test_any_change_changes_the_hash() -> None:
    made = finalised(Place("TG", 1))
    other = msgspec.structs.replace(made.invoice, total=made.invoice.total + Decimal("0.01"))
    assert content_hash(canonical(other)) != made.hash
    assert finalised(Place("TG", 2)).hash != made.hash
