"""Charges beside rating the truth, in fractions and without the product's engine. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from chaos import catalog
from demo.prices import amount, fee_share, rounded

QuantityOf = Callable[[str, str, datetime, datetime], Decimal]
"""(tenant, meter, begin, end) -> the truth's usage."""
SETTLED = Fraction(1, 10**18)
"""A charge has 18 decimals; what goes on for ever is cut there."""


@dataclass(frozen=True)
class Rating:
    """Rates the truth. `start`: when all subscriptions began; less than a month ago, so that every
    part of a period that bill-now made lies in the month that began then."""

    quantity_of: QuantityOf
    start: datetime

    def exact(self, charge: Mapping[str, Any]) -> tuple[Decimal, Fraction]:
        """The quantity and the amount that a charge must have."""
        tenant = charge["tenant"]
        prices = catalog.PLANS[charge["plan"]]["prices"]
        price = next(each for each in prices if each["slug"] == charge["price"])
        begin = datetime.fromisoformat(charge["from"])
        end = datetime.fromisoformat(charge["to"])
        if "meter" not in price:
            share = self._share(tenant, end) - self._share(tenant, begin)
            return Decimal(1), amount(price, Decimal(0), share)
        used = self.quantity_of(tenant, price["meter"], begin, end)
        return used, amount(price, used, Fraction(0))

    def to_the_cent(self, charge: Mapping[str, Any]) -> Decimal:
        """What has to stand on invoices for the charge, all lines together."""
        return rounded(self.exact(charge)[1], charge["currency"])

    def _share(self, tenant: str, until: datetime) -> Fraction:
        """How much of the calendar month has passed from `start` until then."""
        body = catalog.tenant_body(tenant, self.start)
        return fee_share(self.start, until, body["billing_day"], body["timezone"])


def wrong_charges(charges: Iterable[Mapping[str, Any]], rating: Rating) -> list[str]:
    """Charges whose quantity or amount is not the truth's."""
    wrong = []
    for charge in charges:
        used, exact = rating.exact(charge)
        where = (
            f"charge {charge['id']} of {charge['tenant']}, {charge['from']} to"
            f" {charge['to']}, meter {charge['meter']}"
        )
        if Decimal(charge["quantity"]) != used:
            wrong.append(f"{where}: quantity expected {used}, found {charge['quantity']}")
        if abs(Fraction(Decimal(charge["amount"])) - exact) > SETTLED:
            wrong.append(f"{where}: amount expected {float(exact):.6f}, found {charge['amount']}")
    return wrong


def missing_charges(charges: Iterable[Mapping[str, Any]], bounds: Iterable[datetime]) -> list[str]:
    """Every price of every subscription has a charge for every part between two of `bounds`."""
    known = {(c["tenant"], c["price"], datetime.fromisoformat(c["from"])) for c in charges}
    return [
        f"{tenant} has no charge for {price['slug']} from {begin.isoformat()}"
        for tenant, plan in catalog.SUBSCRIPTIONS.items()
        for price in catalog.PLANS[plan]["prices"]
        for begin in bounds
        if (tenant, price["slug"], begin) not in known
    ]
