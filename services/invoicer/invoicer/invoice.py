"""What a tenant is asked to pay, as a value. Pure: the interim invoice and the run use it alike.

An amount is rounded once, half away from zero, to the minor unit of its currency, where a charge
becomes a line; totals are sums of rounded lines. What a charge owes is `round(its exact amount)`,
whatever number of invoices it is spread over: a later version of an invoiced charge yields an
adjustment line of `round(new amount) - what was invoiced for it`, so corrections never drift. An
adjustment is taxed as the charge was when it was first invoiced, anything else as the tenant was
on the day of the sale (`tax_point`).
What the tenant has in its wallet pays last, after taxes.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

import msgspec

from common.contracts.charges import Charge, ChargeLine
from common.contracts.tenants import Tax, Tenant
from common.money import WIDE, plain, round_line
from invoicer import display
from invoicer.tax import TaxTotal, tax_point, tax_totals, taxes_at

VERSION: Final = 2
"""Of the document: 1 knew no taxes and no wallet."""
ROUNDING: Final = "Each line is rounded once, half away from zero; totals are sums of lines."
TAXED: Final = f"{ROUNDING} A tax is rounded once, of the sum of its lines."

Kind = Literal["fee", "usage", "commitment", "credit", "adjustment"]
_ORDER: Final[dict[Kind, int]] = {
    "fee": 0,
    "usage": 1,
    "commitment": 2,
    "credit": 3,
    "adjustment": 4,
}


class DraftError(Exception):
    """These charges cannot become an invoice; the message says why."""


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """The legal entity that issues. `key` names it in numbering; the rest is printed."""

    key: str
    name: str
    address: list[str] = []
    vat_id: str = ""


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant as it stood when the invoice was made. `timezone`: IANA name, for periods."""

    key: str
    name: str
    address: list[str] = []
    email: str | None = None
    timezone: str = "UTC"
    vat_id: str = ""


class Invoiced(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on finalised invoices for one charge: sums over all its lines, and the taxes
    that they have (None: it has no line)."""

    version: int
    quantity: Decimal
    amount: Decimal
    taxes: list[Tax] | None = []


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` is rounded; `residual` = exact amount of the charge - all that has been invoiced
    for it, this line included. `details` show how the charge's amount came about (exact).
    `adjusts`: for an adjustment, what had been invoiced before; quantity and amount are the
    difference to it."""

    position: int
    kind: Kind
    description: str
    subscription: str
    plan: str
    plan_name: str
    plan_version: int
    price: str
    meter: str | None
    unit: str
    quantity: Decimal
    amount: Decimal
    residual: Decimal
    period_from: datetime
    period_to: datetime
    charge: str
    charge_version: int
    details: list[ChargeLine]
    taxes: list[Tax] = []
    adjusts: Invoiced | None = None


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Usage that may be absent, because somebody stayed silent. `sealed_through`: until when
    everything from there is known to be in."""

    kind: Literal["node", "ingest"]
    name: str
    detail: str
    sealed_through: datetime | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an invoice. Until it is finalised `id`, `number`, `issued_at` and
    `previous_hash` are None. Times are UTC. `subtotal` is the sum of the lines, `total` has the
    taxes added; it may be negative when corrections exceed what is due. `payable` is the total
    without what the tenant's wallet pays of it (`paid_from_wallet`)."""

    v: int = VERSION
    id: str | None = None
    number: str | None = None
    legal_entity: str
    series: str | None = None
    issued_at: datetime | None = None
    tenant: str
    seller: Seller
    buyer: Buyer
    currency: str
    period_from: datetime | None
    period_to: datetime | None
    lines: list[Line]
    subtotal: Decimal
    taxes: list[TaxTotal] = []
    total: Decimal
    paid_from_wallet: Decimal = Decimal(0)
    payable: Decimal
    rounding: str = ROUNDING
    missing: list[Missing] = []
    previous_hash: str | None = None

    @property
    def is_worth_issuing(self) -> bool:
        """Whether there is more to say than corrections that change no amount. A total of zero
        is issued: it is the record that the period was closed and what it covered."""
        return any(line.kind != "adjustment" or line.amount for line in self.lines)


def draft(
    charges: Iterable[Charge],
    invoiced: Mapping[str, Invoiced],
    *,
    tenant: Tenant,
    seller: Seller,
    currency: str,
    missing: Iterable[Missing] = (),
    balance: Decimal = Decimal(0),
) -> Invoice:
    """The invoice of `tenant` for `charges` in `currency`, less what was `invoiced` (by charge).
    `balance`: what the tenant's wallet holds in the currency.

    A charge that was never invoiced becomes a line of its kind, also with amount zero; one that
    was becomes an adjustment line if quantity or amount changed, otherwise nothing. Lines are in
    a fixed order, by subscription and period, corrections last. Raises `DraftError`.
    """
    checked = [_checked(charge, tenant, currency) for charge in charges]
    where = display.zone(tenant.timezone)
    made = [
        _line(charge, invoiced.get(charge.id), taxes_at(tenant.taxes, tax_point(charge, where)))
        for charge in checked
    ]
    found = sorted((line for line in made if line is not None), key=_place)
    lines = [msgspec.structs.replace(line, position=i) for i, line in enumerate(found, start=1)]
    subtotal = _sum((line.amount for line in lines), currency)
    taxes = tax_totals(lines, currency)
    total = _sum([subtotal, *(tax.amount for tax in taxes)], currency)
    from_wallet = round_line(max(min(balance, total), Decimal(0)), currency)
    # Corrections of the past do not stretch the period that this invoice is about.
    spanning = [line for line in lines if line.kind != "adjustment"] or lines
    return Invoice(
        legal_entity=seller.key,
        tenant=tenant.key,
        seller=seller,
        buyer=Buyer(
            key=tenant.key,
            name=tenant.name,
            address=list(tenant.address),
            email=tenant.email,
            timezone=tenant.timezone,
            vat_id=tenant.vat_id,
        ),
        currency=currency,
        period_from=min((line.period_from for line in spanning), default=None),
        period_to=max((line.period_to for line in spanning), default=None),
        lines=lines,
        subtotal=subtotal,
        taxes=taxes,
        total=total,
        paid_from_wallet=from_wallet,
        payable=_sum([total, from_wallet.copy_negate()], currency),
        rounding=TAXED if taxes else ROUNDING,
        missing=list(missing),
    )


def _checked(charge: Charge, tenant: Tenant, currency: str) -> Charge:
    if charge.tenant != tenant.key:
        raise DraftError(f"charge {charge.id} belongs to {charge.tenant}, not to {tenant.key}")
    if charge.currency != currency:
        raise DraftError(f"charge {charge.id} is in {charge.currency}, not in {currency}")
    for value in (charge.amount, charge.quantity):
        if not value.is_finite():
            raise DraftError(f"charge {charge.id} holds {value}, which is not a number")
    return charge


def _line(charge: Charge, before: Invoiced | None, taxes: list[Tax]) -> Line | None:
    try:
        due = round_line(charge.amount, charge.currency)
    except ValueError as error:
        raise DraftError(f"charge {charge.id}: {error}") from None
    if before is not None and before.taxes is None:
        before = None  # it was settled, but no invoice has a line of it
    if before is None:
        if charge.withdrawn:
            return None
        quantity, amount = charge.quantity, due
        kind = kind_of(charge)
        description = charge.description or charge.price
    else:
        quantity = WIDE.subtract(charge.quantity, before.quantity)
        amount = WIDE.subtract(due, before.amount)
        if not quantity and not amount:
            return None
        kind = "adjustment"
        description = f"Correction: {charge.description or charge.price}"
    return Line(
        position=0,
        kind=kind,
        description=description,
        subscription=charge.subscription,
        plan=charge.plan,
        plan_name=charge.plan_name or charge.plan,
        plan_version=charge.plan_version,
        price=charge.price,
        meter=charge.meter,
        unit=charge.unit,
        quantity=_exact(quantity),
        amount=round_line(amount, charge.currency),
        residual=_exact(WIDE.subtract(charge.amount, due)),
        period_from=charge.period_from.astimezone(UTC),
        period_to=charge.period_to.astimezone(UTC),
        charge=charge.id,
        charge_version=charge.version,
        details=list(charge.lines),
        taxes=list(taxes if before is None else before.taxes or ()),
        adjusts=before,
    )


def kind_of(charge: Charge) -> Kind:
    """What a charge's first line is. A quantity, such as seats, is shown as usage is: so many,
    of what."""
    match charge.kind:
        case "commitment" | "credit":
            return charge.kind
        case "quantity":
            return "usage"
        case _:
            return "usage" if charge.meter is not None else "fee"


def _place(line: Line) -> tuple[bool, str, str, datetime, int, str, str]:
    return (
        line.kind == "adjustment",
        line.plan_name,
        line.subscription,
        line.period_from,
        _ORDER[line.kind],
        line.price,
        line.charge,
    )


def _sum(amounts: Iterable[Decimal], currency: str) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = WIDE.add(total, amount)
    try:
        return round_line(total, currency)
    except ValueError as error:
        raise DraftError(str(error)) from None


def _exact(value: Decimal) -> Decimal:
    """The same value in its plainest form, so that equal content has equal bytes."""
    return Decimal(plain(value))
