"""The log's truth beside what was metered and what was invoiced; any difference is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from demo.prices import amount, fee_share, rounded
from demo.truth import Count


@dataclass(frozen=True)
class Row:
    """One tenant and meter, or one tenant and price (`what`). None: nothing to compare."""

    tenant: str
    what: str
    truth: Decimal
    metered: Decimal | None
    invoiced: Decimal | None

    @property
    def agrees(self) -> bool:
        """Whether every figure equals the truth."""
        return all(value in (None, self.truth) for value in (self.metered, self.invoiced))


@dataclass(frozen=True)
class Bill:
    """An invoice as the API gave it, with what the subscription was billed for."""

    tenant: Mapping[str, Any]
    plan: Mapping[str, Any]
    start: datetime
    end: datetime
    invoice: Mapping[str, Any] | None


def quantities(
    counts: Mapping[str, Count], metered: Mapping[tuple[str, str], Decimal], bills: list[Bill]
) -> list[Row]:
    """Units by tenant and meter: in the log, in the meter, on the invoice (if it is priced)."""
    rows = []
    for bill in bills:
        tenant = bill.tenant["key"]
        for meter, truth in counts.get(tenant, Count()).meters().items():
            billed = [p["slug"] for p in bill.plan["prices"] if p.get("meter") == meter]
            invoiced = None
            if billed and bill.invoice is not None:
                invoiced = _total(bill.invoice, "quantity", billed)
            rows.append(
                Row(tenant, meter, truth, metered.get((tenant, meter), Decimal(0)), invoiced)
            )
    return rows


def amounts(counts: Mapping[str, Count], bills: list[Bill]) -> list[Row]:
    """Money by tenant and price, and the totals: computed from the log, and invoiced."""
    rows = []
    for bill in bills:
        tenant, currency = bill.tenant["key"], bill.tenant["currency"]
        usage = counts.get(tenant, Count()).meters()
        share = fee_share(bill.start, bill.end, bill.tenant["billing_day"], bill.tenant["timezone"])
        total = Decimal(0)
        for price in bill.plan["prices"]:
            quantity = usage.get(price.get("meter", ""), Decimal(0))
            expected = rounded(amount(price, quantity, share), currency)
            total += expected
            invoiced = Decimal(0)
            if bill.invoice is not None:
                invoiced = _total(bill.invoice, "amount", [price["slug"]])
            rows.append(Row(tenant, f"{price['slug']} {currency}", expected, None, invoiced))
        net = total
        for tax in bill.tenant.get("taxes", []):
            expected = rounded(Fraction(net) * Fraction(tax["percent"]) / 100, currency)
            total += expected
            what = f"{tax['name']} {tax['percent']} % {currency}"
            rows.append(Row(tenant, what, expected, None, _tax(bill.invoice, tax["name"])))
        charged = Decimal(bill.invoice["total"]) if bill.invoice is not None else Decimal(0)
        rows.append(Row(tenant, f"total {currency}", total, None, charged))
    return rows


def _tax(invoice: Mapping[str, Any] | None, name: str) -> Decimal:
    taxes = invoice["taxes"] if invoice is not None else []
    return sum((Decimal(tax["amount"]) for tax in taxes if tax["name"] == name), Decimal(0))


def _total(invoice: Mapping[str, Any], field: str, prices: list[str]) -> Decimal:
    return sum(
        (
            Decimal(line[field])
            for line in invoice["lines"]
            if line["price"] in prices and line.get(field) is not None
        ),
        Decimal(0),
    )
