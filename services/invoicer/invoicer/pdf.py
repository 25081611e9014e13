"""An invoice as PDF/A, by typst. The same content gives the same bytes on every machine.

What typst gets is a flat picture of strings (`picture`); layout alone is the template's business.
Only typst's embedded fonts are used, unless `font_paths` names folders with more (for scripts
they lack, such as Chinese: a character without a glyph is an empty box, and the PDF a plain one,
because PDF/A allows no such thing), and the creation date is the invoice's own.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from importlib import resources
from itertools import groupby
from typing import Any, Final

import msgspec
import typst

from common.contracts.charges import ChargeLine
from common.contracts.tenants import Tax
from invoicer import display
from invoicer.canonical import GENESIS
from invoicer.invoice import Invoice, Line
from invoicer.tax import TaxTotal

TEMPLATE: Final = resources.files("invoicer").joinpath("invoice.typ").read_bytes()
NO_GLYPH: Final = "could not be displayed with font"
"""What typst says when a character has no glyph, which PDF/A does not allow."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
log = logging.getLogger(__name__)


def render(
    invoice: Invoice,
    *,
    hash: str,
    state: str,
    as_of: datetime | None = None,
    font_paths: Sequence[str] = (),
) -> bytes:
    """The PDF. `state`: finalised, paid, void, or interim; an interim invoice says until when
    usage is in (`as_of`). Takes some 20 ms of CPU: call it in a thread."""
    made_at = invoice.issued_at or as_of or invoice.period_to or EPOCH
    data = msgspec.json.encode(picture(invoice, hash=hash, state=state, as_of=as_of))
    compile = partial(
        typst.compile,
        TEMPLATE,
        format="pdf",
        sys_inputs={"invoice": data.decode()},
        font_paths=_fonts(tuple(font_paths)),
        timestamp=made_at.replace(microsecond=0),
    )
    try:
        result = compile(pdf_standards="a-3b")
    except typst.TypstError as error:
        if NO_GLYPH not in error.message:
            raise
        log.warning("%s: %s; see TOLLGATE_FONT_PATHS", invoice.number, error.message)
        result = compile()
    assert isinstance(result, bytes)
    return result


@lru_cache(maxsize=4)
def _fonts(paths: tuple[str, ...]) -> typst.Fonts:
    """Never the system's: they differ between machines."""
    return typst.Fonts(include_system_fonts=False, font_paths=list(paths))


def picture(invoice: Invoice, *, hash: str, state: str, as_of: datetime | None) -> dict[str, Any]:
    """Everything that is printed, as strings, in the tenant's time zone."""
    where = display.zone(invoice.buyer.timezone)
    span = _period(invoice.period_from, invoice.period_to, where)
    facts = [
        ("Invoice number", invoice.number),
        ("Issued", display.day(invoice.issued_at, where) if invoice.issued_at else None),
        ("Usage as of", _instant(as_of, where) if as_of else None),
        ("Period", span),
        ("Customer", invoice.tenant),
        ("Currency", invoice.currency),
    ]
    previous = invoice.previous_hash
    return {
        "title": "Credit in your favour" if invoice.total < 0 else "Invoice",
        "name": invoice.number or f"Interim invoice for {invoice.tenant}",
        "stamp": {"interim": "INTERIM", "void": "VOID", "paid": "PAID"}.get(state, ""),
        "is_interim": state == "interim",
        "seller": {
            "name": invoice.seller.name,
            "address": invoice.seller.address,
            "vat_id": invoice.seller.vat_id,
        },
        "buyer": {
            "name": invoice.buyer.name,
            "address": invoice.buyer.address,
            "email": invoice.buyer.email or "",
            "vat_id": invoice.buyer.vat_id,
        },
        "facts": [[name, value] for name, value in facts if value],
        "groups": list(_groups(invoice, where)),
        "currency": invoice.currency,
        "subtotal": display.amount(invoice.subtotal, invoice.currency),
        "taxes": [
            {
                "text": f"{_tax(tax)} of {display.amount(tax.basis, invoice.currency)}",
                "note": f"{_tax(tax)}: {tax.note}" if tax.note else "",
                "amount": display.amount(tax.amount, invoice.currency),
            }
            for tax in invoice.taxes
        ],
        "total": display.amount(invoice.total, invoice.currency),
        "from_wallet": display.amount(invoice.paid_from_wallet.copy_negate(), invoice.currency)
        if invoice.paid_from_wallet
        else "",
        "payable": display.amount(invoice.payable, invoice.currency),
        "rounding": invoice.rounding,
        "timezone": invoice.buyer.timezone,
        "missing": [
            {
                "name": missing.name,
                "detail": missing.detail,
                "through": _instant(missing.sealed_through, where)
                if missing.sealed_through
                else "never",
            }
            for missing in invoice.missing
        ],
        "hash": hash,
        "previous_hash": previous if previous and previous != GENESIS else "",
    }


def _groups(invoice: Invoice, where: tzinfo) -> Iterable[dict[str, Any]]:
    """Lines under one heading each: a plan's period of a subscription, then corrections. Where
    lines differ in their taxes, each says its own."""
    taxes_differ = any(line.taxes != invoice.lines[0].taxes for line in invoice.lines)
    for (is_correction, *_), lines in groupby(invoice.lines, _heading):
        found = list(lines)
        first = found[0]
        plan = f"{first.plan_name} (version {first.plan_version})"
        yield {
            "heading": f"Corrections: {plan}" if is_correction else plan,
            "period": _period(first.period_from, first.period_to, where),
            "subscription": first.subscription,
            "lines": [_row(line, invoice.currency, taxes_differ) for line in found],
        }


def _heading(line: Line) -> tuple[bool, str, str, int, datetime, datetime]:
    return (
        line.kind == "adjustment",
        line.subscription,
        line.plan,
        line.plan_version,
        line.period_from,
        line.period_to,
    )


def _row(line: Line, currency: str, says_taxes: bool) -> dict[str, Any]:
    counts = line.kind != "fee"
    unit = (line.unit or line.meter or "") if counts else ""
    return {
        "description": line.description,
        "quantity": display.short_quantity(line.quantity) if counts else "",
        "unit": unit,
        "amount": display.amount(line.amount, currency),
        "details": list(_details(line, unit, currency, says_taxes)),
    }


def _details(line: Line, unit: str, currency: str, says_taxes: bool) -> Iterable[dict[str, str]]:
    """What stands in grey under a line; nothing where there is nothing to explain."""
    if not line.quantity and not line.amount:
        return
    if line.kind != "fee" and not display.is_short(line.quantity):
        full = f"{display.quantity(line.quantity)} {unit}".rstrip()
        yield {"text": f"quantity in full: {full}", "amount": ""}
    if line.adjusts is not None:
        before = display.amount(line.adjusts.amount, currency)
        invoiced = f"invoiced so far: {display.quantity(line.adjusts.quantity)} for {before}"
        yield {"text": invoiced, "amount": ""}
    if not _repeats(line):
        yield from (_detail(detail, currency) for detail in line.details)
    if says_taxes:
        text = ", ".join(_tax(tax) for tax in line.taxes) or "no tax"
        yield {"text": text, "amount": ""}


def _repeats(line: Line) -> bool:
    """Whether the steps say nothing that the line does not say: the one of a whole fee, and those
    to an amount that was invoiced already."""
    if line.kind == "adjustment":
        return not line.amount
    return line.kind == "fee" and len(line.details) == 1 and line.details[0].quantity in (None, 1)


def _tax(tax: Tax | TaxTotal) -> str:
    return f"{tax.name} {display.quantity(tax.percent)} %"


def _detail(detail: ChargeLine, currency: str) -> dict[str, str]:
    text = detail.description or detail.kind
    # What costs something is told as a product, unless the description does so already.
    if detail.quantity is not None and detail.unit_amount and "×" not in text:
        at = display.exact(detail.unit_amount, currency)
        text = f"{text}: {display.short_quantity(detail.quantity)} × {at}"
    return {"text": text, "amount": display.exact(detail.amount, currency)}


def _period(start: datetime | None, end: datetime | None, where: tzinfo) -> str:
    return display.period(start, end, where) if start and end else ""


def _instant(at: datetime, where: tzinfo) -> str:
    local = at.astimezone(where)
    return f"{local.day} {local:%b %Y, %H:%M:%S}"
