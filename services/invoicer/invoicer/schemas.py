"""What the API accepts and returns. Decimals are strings, times RFC 3339 UTC."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def _text(value: object) -> object:
    # A number would be read as seconds since 1970, which nobody means who writes 20261101.
    if isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        return value
    raise ValueError('must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"')


def _to_utc(value: datetime) -> datetime:
    # Compared before it is converted: at the ends of the calendar there is no UTC equivalent.
    if value < EARLIEST:
        raise ValueError("no period ended before the year 2000")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the year 9999") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(_to_utc)]


class RunBody(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")

    through: Instant = Field(description="Close every period that ends by then.")


class Wait(BaseModel):
    """One thing that a run waits for."""

    kind: Literal["node", "ingest", "watermark", "tenant", "fault"]
    name: str
    detail: str
    now: datetime | None = Field(description="How far it is.")
    needed: datetime | None = Field(description="How far it must be.")


class Missing(BaseModel):
    """Usage that may be absent, because somebody stayed silent past the run's patience."""

    kind: Literal["node", "ingest"]
    name: str
    detail: str
    sealed_through: datetime | None = Field(description="Until when everything is known to be in.")


class LeftOut(BaseModel):
    """A tenant that the run could not invoice; the next run tries again."""

    tenant: str
    currency: str
    reason: str


class Run(BaseModel):
    """A billing run."""

    id: str
    through: datetime
    state: Literal["waiting", "invoicing", "done"]
    created_at: datetime
    patience_end: datetime = Field(description="Silent nodes are waited for until then.")
    nodes_settled_at: datetime | None
    invoicing_at: datetime | None
    done_at: datetime | None
    waits_for: list[Wait]
    missing: list[Missing]
    left_out: list[LeftOut]
    invoice_count: int
    invoices: list[str] = Field(description="Ids, in the order of their numbers.")


class RunPage(BaseModel):
    """Runs, newest first."""

    items: list[Run]
    next: str | None


class Tax(BaseModel):
    """A tax that a line has. `percent`: 20 is 20 %."""

    name: str
    percent: str
    note: str


class TaxTotal(Tax):
    """What a tax makes of the lines that have it."""

    basis: str = Field(description="The sum of those lines.")
    amount: str = Field(description="`percent` of `basis`, rounded once, half away from zero.")


class Line(BaseModel):
    """A line. `residual`: exact amount of the charge less all that was invoiced for it."""

    position: int
    kind: Literal["fee", "usage", "commitment", "credit", "adjustment"]
    description: str
    subscription: str
    plan: str
    plan_name: str
    plan_version: int
    price: str
    meter: str | None
    unit: str
    quantity: str
    amount: str
    residual: str
    period_from: datetime
    period_to: datetime
    charge: str
    charge_version: int
    details: list[dict[str, Any]] = Field(description="How the charge came about; exact amounts.")
    taxes: list[Tax] | None = Field(None, description="Since `v` 2.")
    adjusts: dict[str, Any] | None = Field(description="What was invoiced before the correction.")


class Invoice(BaseModel):
    """An invoice: its hashed content, and its id, state and hash around it. Documents of `v` 1
    have neither taxes nor wallet, and are shown without these fields; all of their total is
    payable."""

    v: int
    id: str | None
    number: str | None
    run: str | None
    state: Literal["draft", "finalised", "paid", "void"]
    legal_entity: str
    series: str | None
    issued_at: datetime | None
    as_of: datetime | None = Field(None, description="Interim only: usage is in until then.")
    tenant: str
    seller: dict[str, Any]
    buyer: dict[str, Any]
    currency: str
    period_from: datetime | None
    period_to: datetime | None
    lines: list[Line]
    subtotal: str = Field(description="The sum of the lines.")
    taxes: list[TaxTotal] | None = Field(None, description="Since `v` 2.")
    total: str = Field(description="`subtotal` and the taxes.")
    paid_from_wallet: str | None = Field(None, description="Since `v` 2.")
    payable: str | None = Field(
        None, description="`total` less `paid_from_wallet`; since `v` 2, before it was the total."
    )
    rounding: str
    missing: list[Missing]
    hash: str
    previous_hash: str | None


class InvoicePage(BaseModel):
    """Invoices with their lines, newest first."""

    items: list[Invoice]
    next: str | None


class EntryBody(BaseModel):
    """Money to move."""

    model_config = ConfigDict(extra="forbid")

    amount: Decimal = Field(
        max_digits=38,
        decimal_places=18,
        description="Into the wallet above 0, out of it below, in whole minor units.",
    )
    reference: str = Field(
        min_length=1,
        max_length=200,
        description="Of the payment, such as a bank's number. It moves money once in a wallet.",
    )
    reason: str = Field("", max_length=500, description="Kept with the entry.")
    by: str = Field("", max_length=200, description="Kept with the entry.")


class WalletEntry(BaseModel):
    """A movement of money. `number`: from 1 in its wallet."""

    tenant: str
    currency: str
    number: int
    kind: Literal["top_up", "payout", "invoice"]
    amount: str = Field(description="Into the wallet above 0, out of it below.")
    balance: str = Field(description="What the wallet held after it.")
    invoice: str | None = Field(description="What it paid.")
    reference: str
    reason: str
    by: str
    at: datetime


class WalletEntryPage(BaseModel):
    """Entries, newest first."""

    items: list[WalletEntry]
    next: str | None


class Wallet(BaseModel):
    """What a wallet holds."""

    currency: str
    balance: str


class Wallets(BaseModel):
    """A tenant's wallets, by currency."""

    tenant: str
    items: list[Wallet]
