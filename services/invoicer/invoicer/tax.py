"""Taxes of an invoice. Pure.

A tax is of the sum of the rounded lines that have it, rounded once, half away from zero (as
EN 16931 asks): 20 % of 68.33 + 68.33 + 57.50 + 85.00 is 55.83. Rounded line by line it would be
55.84; then the tax would not be its percentage of the net amount that stands beside it.
"""

from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from decimal import Decimal
from typing import Protocol

import msgspec

from common.contracts.charges import Charge
from common.contracts.tenants import Tax, TenantTax
from common.money import WIDE, round_line


class TaxTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What a tax makes: `amount` is `percent` of `basis`, the sum of the lines that have it."""

    name: str
    percent: Decimal
    note: str
    basis: Decimal
    amount: Decimal


class Taxed(Protocol):
    """A line: its rounded amount, and the taxes on it."""

    @property
    def amount(self) -> Decimal: ...

    @property
    def taxes(self) -> list[Tax]: ...


def taxes_at(taxes: Iterable[TenantTax], day: date) -> list[Tax]:
    """Those that hold on a day: of each name the one since the latest day that has come."""
    held: dict[str, TenantTax | None] = {}
    for tax in taxes:
        known = held.setdefault(tax.name, None)
        if _since(tax) <= day and (known is None or _since(known) <= _since(tax)):
            held[tax.name] = tax
    return [
        Tax(name=tax.name, percent=tax.percent, note=tax.note)
        for tax in held.values()
        if tax is not None
    ]


def _since(tax: TenantTax) -> date:
    return tax.since or date.min


def tax_point(charge: Charge, where: tzinfo) -> date:
    """The day whose taxes a charge has: of what is paid in advance the first one of its period, of
    anything else the last one before it is due."""
    at = charge.period_from
    if charge.due > at:
        at = charge.due - timedelta(microseconds=1)
    return at.astimezone(where).date()


def tax_totals(lines: Iterable[Taxed], currency: str) -> list[TaxTotal]:
    """One a tax, in the order in which lines first have them. Taxes that differ in their percent
    or note are different ones."""
    bases: dict[tuple[str, Decimal, str], Decimal] = {}
    for line in lines:
        for tax in line.taxes:
            key = (tax.name, tax.percent, tax.note)
            bases[key] = WIDE.add(bases.get(key, Decimal(0)), line.amount)
    return [
        TaxTotal(
            name=name,
            percent=percent,
            note=note,
            basis=round_line(basis, currency),
            amount=round_line(WIDE.multiply(basis, percent.scaleb(-2, context=WIDE)), currency),
        )
        for (name, percent, note), basis in bases.items()
    ]
