"""Invoice numbers: gapless within a legal entity and series. Pure.

A number is given only inside the finalising transaction, from one counter row whose lock orders
the invoices of a series; a rolled back transaction takes its number back with it. A database
sequence would leave gaps there.
"""

import re
from datetime import datetime
from typing import Final

import msgspec

from invoicer.canonical import GENESIS, canonical, content_hash
from invoicer.invoice import Invoice

SERIES: Final = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,19}")
"""What a series may be called; it begins every number."""


class Place(msgspec.Struct, frozen=True):
    """The next place in a series: the number after the last one, and the hash of that one."""

    series: str
    value: int
    previous_hash: str = GENESIS


class Finalised(msgspec.Struct, frozen=True):
    """An invoice that has its number, with its canonical bytes and their hash."""

    invoice: Invoice
    value: int
    document: bytes
    hash: str


def format_number(series: str, value: int) -> str:
    """`value` (from 1) in `series` as printed: TG, 42 is "TG-000042"."""
    if value < 1:
        raise ValueError(f"invoice numbers begin at 1, not at {value}")
    return f"{series}-{value:06d}"


def finalise(draft: Invoice, place: Place, *, id: str, issued_at: datetime) -> Finalised:
    """`draft` with its number, date and link to the one before it."""
    invoice = msgspec.structs.replace(
        draft,
        id=id,
        number=format_number(place.series, place.value),
        series=place.series,
        issued_at=issued_at,
        previous_hash=place.previous_hash,
    )
    document = canonical(invoice)
    return Finalised(invoice, place.value, document, content_hash(document))
