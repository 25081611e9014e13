"""Charges, a tenant and a seller for the tests of the invoicer."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from common.contracts.charges import Charge, ChargeLine
from common.contracts.tenants import Tenant
from invoicer.invoice import Seller

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)
NOVEMBER = datetime(2026, 10, 31, 23, tzinfo=UTC)
DECEMBER = datetime(2026, 11, 30, 23, tzinfo=UTC)
"""Months in Berlin; summer time ends in October."""

SELLER = Seller(
    key="main", name="Tollgate Ltd", address=["1 Bridge Road", "Dublin"], vat_id="IE1234567X"
)
ACME = Tenant(
    key="acme",
    name="Acme Łódź GmbH",
    currency="EUR",
    timezone="Europe/Berlin",
    billing_day=1,
    email="billing@acme.example",
    address=["Gleisstraße 7", "10115 Berlin"],
)


def charge(id: str = "c1", amount: str = "12.34", quantity: str = "100", **fields: Any) -> Charge:
    """A closed charge of Acme's plan `pro` for November; any field can be given."""
    given: dict[str, Any] = {
        "id": id,
        "tenant": "acme",
        "subscription": "s1",
        "plan": "pro",
        "plan_name": "Pro",
        "plan_version": 2,
        "price": f"price-{id}",
        "description": "Requests",
        "meter": "requests",
        "unit": "requests",
        "period_from": NOVEMBER,
        "period_to": DECEMBER,
        "quantity": Decimal(quantity),
        "amount": Decimal(amount),
        "currency": "EUR",
        "version": 1,
        "closed": True,
    }
    return Charge(**(given | fields))


def fee(id: str = "fee", amount: str = "49", **fields: Any) -> Charge:
    """A flat fee."""
    step = ChargeLine(kind="fee", description="monthly fee", amount=Decimal(amount))
    return charge(
        id, amount, "1", **({"meter": None, "description": "Platform", "lines": [step]} | fields)
    )
