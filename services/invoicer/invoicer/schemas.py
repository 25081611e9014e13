"""What the API accepts and returns. Decimals are strings, times RFC 3339 UTC."""

from datetime import UTC, datetime
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
    adjusts: dict[str, Any] | None = Field(description="What was invoiced before the correction.")


class Invoice(BaseModel):
    """An invoice: its hashed content, and its id, state and hash around it."""

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
    subtotal: str
    total: str
    rounding: str
    missing: list[Missing]
    hash: str
    previous_hash: str | None


class InvoicePage(BaseModel):
    """Invoices with their lines, newest first."""

    items: list[Invoice]
    next: str | None
