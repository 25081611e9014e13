"""Invoices: to the cent, unchanged, numbered without a gap, chained. Pure."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from chaos.checks.charges import Rating

NOT_HASHED = ("state", "state_at", "run", "hash")


def wrong_amounts(
    charges: Iterable[Mapping[str, Any]],
    invoices: Iterable[Mapping[str, Any]],
    rating: Rating,
) -> list[str]:
    """Charges that all invoices together do not bill to the cent, lines of no charge, and totals
    that are not the sum of their lines. `charges`: those of periods that have been invoiced."""
    billed: dict[str, Decimal] = defaultdict(Decimal)
    wrong = []
    for invoice in invoices:
        for line in invoice["lines"]:
            billed[line["charge"]] += Decimal(line["amount"])
        total = sum((Decimal(line["amount"]) for line in invoice["lines"]), Decimal(0))
        if Decimal(invoice["total"]) != total:
            wrong.append(f"invoice {invoice['number']}: total {invoice['total']}, lines {total}")
    for charge in charges:
        expected = rating.to_the_cent(charge)
        found = billed.pop(charge["id"], None)
        if found != expected:
            wrong.append(
                f"charge {charge['id']} of {charge['tenant']}: invoices must bill {expected}"
                f" {charge['currency']} for it, and bill {found}"
            )
    wrong += [f"charge {id}: invoiced with {sum}, and unknown" for id, sum in billed.items() if sum]
    return wrong


def changed(
    before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Finalised invoices that are gone or say something else than when they were seen first."""
    wrong = []
    for id, document in before.items():
        if id not in now:
            wrong.append(f"invoice {document['number']} ({id}) is gone")
        elif _content(document) != _content(now[id]):
            wrong.append(f"invoice {document['number']} ({id}) has changed")
    return wrong


def broken_series(invoices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Gaps in the numbers, hashes that are not those of the content, links that do not follow."""
    wrong = []
    previous = "0" * 64
    ordered = sorted(invoices, key=lambda invoice: str(invoice["number"]))
    for place, invoice in enumerate(ordered, start=1):
        expected = f"{invoice['series']}-{place:06d}"
        if invoice["number"] != expected:
            wrong.append(f"number {expected} is missing; {invoice['number']} stands in its place")
            break
        digest = hashlib.sha256(_content(invoice)).hexdigest()
        if digest != invoice["hash"]:
            wrong.append(f"invoice {invoice['number']}: hash {invoice['hash']}, content {digest}")
        if invoice["previous_hash"] != previous:
            wrong.append(f"invoice {invoice['number']} does not follow the one before it")
        previous = invoice["hash"]
    return wrong


def _content(invoice: Mapping[str, Any]) -> bytes:
    """The canonical JSON that the hash is of."""
    kept = {name: value for name, value in invoice.items() if name not in NOT_HASHED}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
