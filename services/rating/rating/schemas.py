"""What the API accepts and returns. Plans are read by rating.plan, which names every field."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from common.contracts.charges import Charge
from common.contracts.tenants import TenantTax
from common.events.rfc3339 import parse_time_ms
from common.money import plain
from rating.store.plans import PlanRow
from rating.store.tenants import TenantRow
from rating.subscription import Subscription

SLUG = r"^[a-z0-9][a-z0-9._-]{0,62}$"
KEY = r"^[^\x00-\x1f\x7f]{1,256}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError('must be an RFC 3339 time, such as "2026-11-01T00:00:00Z"')
    try:
        return _EPOCH + timedelta(milliseconds=parse_time_ms(value))
    except OverflowError:
        raise ValueError("lies beyond the calendar") from None


def _lines(value: object) -> object:
    """An address may come as one text with line breaks."""
    return value.splitlines() if isinstance(value, str) else value


def _bound(value: object) -> date:
    """A day as YYYY-MM-DD, or an instant."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        return date.fromisoformat(value)
    return value if isinstance(value, date) else _instant(value)


Instant = Annotated[datetime, BeforeValidator(_instant)]
Bound = Annotated[
    datetime | date,
    BeforeValidator(_bound),
    WithJsonSchema({"type": "string", "examples": ["2026-10-01", "2026-10-01T00:00:00Z"]}),
]
"""An end of a range of time: a day, which begins at midnight of each tenant's clock, or an
instant."""
Exact = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
Key = Annotated[str, Field(pattern=KEY)]
Slug = Annotated[str, Field(pattern=SLUG)]
Line = Annotated[str, Field(max_length=200)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TaxIn(Strict):
    name: str = Field(min_length=1, max_length=50, description="As printed, such as VAT.")
    percent: Exact = Field(
        ge=0, le=100, max_digits=9, decimal_places=6, description="Of the net amount: 20 is 20 %."
    )
    note: Line = Field("", description="What must be said beside it, such as why it is 0.")
    since: date | None = Field(
        None,
        description="The day, by the tenant's clock, from which it is instead of an earlier one of "
        "its name; from ever when left out.",
    )

    @classmethod
    def of(cls, tax: TenantTax) -> "TaxIn":
        return cls(name=tax.name, percent=tax.percent, note=tax.note, since=tax.since)

    def tax(self) -> TenantTax:
        """The same, in its plainest form."""
        return TenantTax(
            name=self.name,
            percent=Decimal(plain(self.percent)),
            note=self.note,
            since=self.since,
        )


def _once_each(taxes: list[TaxIn]) -> list[TaxIn]:
    places = {(tax.name, tax.since) for tax in taxes}
    if len(places) < len(taxes):
        raise ValueError("two taxes of one name must hold since different days")
    if len({tax.name for tax in taxes}) > 5:
        raise ValueError("at most five taxes of different names")
    return taxes


class TenantIn(Strict):
    name: str = Field(min_length=1, max_length=200, description="As printed on invoices.")
    currency: str = Field(max_length=3, description="ISO 4217, such as EUR.")
    timezone: str = Field(
        "UTC", max_length=100, description="IANA time zone; periods begin at its midnight."
    )
    billing_day: int = Field(
        1, ge=1, le=31, strict=True, description="Day of the month; 31 means the last."
    )
    email: str | None = Field(None, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")
    address: Annotated[list[Line], BeforeValidator(_lines), Field(max_length=10)] = []
    vat_id: str = Field("", max_length=50, description="As printed on invoices.")
    taxes: Annotated[
        list[TaxIn],
        AfterValidator(_once_each),
        Field(max_length=100, description="On what it is charged; none when left out."),
    ] = []


class TenantOut(TenantIn):
    key: str

    @classmethod
    def of(cls, row: TenantRow) -> "TenantOut":
        return cls(
            key=row.key,
            name=row.name,
            currency=row.currency,
            timezone=row.timezone,
            billing_day=row.billing_day,
            email=row.email,
            address=row.address,
            vat_id=row.vat_id,
            taxes=[TaxIn.of(tax) for tax in row.taxes],
        )


class TenantList(BaseModel):
    items: list[TenantOut]
    next: str | None


class PlanOut(BaseModel):
    """A version of a plan as its author wrote it, its other parts included."""

    model_config = ConfigDict(extra="allow")

    slug: str
    version: int
    name: str
    currency: str
    interval: str | dict[str, int]
    prices: list[dict[str, Any]]

    @classmethod
    def of(cls, row: PlanRow) -> "PlanOut":
        return cls.said(row.plan, row.version, row.body)

    @classmethod
    def said(cls, slug: str, version: int, body: Mapping[str, Any]) -> "PlanOut":
        return cls(**{"interval": "month", **body, "slug": slug, "version": version})


class PlanList(BaseModel):
    items: list[PlanOut]
    next: str | None


class SubscriptionIn(Strict):
    tenant: Key
    plan: Slug
    version: int | None = Field(
        None, ge=1, lt=2**31, strict=True, description="Of the plan; the newest when left out."
    )
    start: Instant | None = Field(
        None, description="Rounded down to ten seconds; now when left out, may be past."
    )
    end: Instant | None = Field(None, description="Exclusive, rounded down to ten seconds.")
    quantities: Annotated[
        dict[Slug, Annotated[Decimal, Field(ge=0, max_digits=38, decimal_places=18)]],
        Field(max_length=100, description="How many seats, say; the plan's defaults for others."),
    ] = {}


class AtIn(Strict):
    at: Instant | None = Field(None, description="Now when left out.")


class SubscriptionOut(BaseModel):
    """What holds now; before the start what will hold then, after the end what held last."""

    id: str
    tenant: str
    plan: str
    version: int
    start: datetime
    end: datetime | None
    cuts: list[datetime] = Field(description="Where bill-now has split a period.")
    paused: bool
    quantities: dict[str, Exact] = Field(description="Those that were set.")
    add_ons: list[str]

    @classmethod
    def of(cls, subscription: Subscription, now: datetime) -> "SubscriptionOut":
        terms = subscription.segment(now).terms
        return cls(
            id=subscription.id,
            tenant=subscription.tenant,
            plan=terms.plan,
            version=terms.version,
            start=subscription.start,
            end=subscription.end,
            cuts=list(subscription.timeline.cuts),
            paused=terms.paused,
            quantities=dict(terms.quantities),
            add_ons=sorted(terms.add_ons),
        )


class BilledNow(SubscriptionOut):
    at: datetime = Field(description="Where the period ends: the first ten seconds' boundary.")


class SubscriptionList(BaseModel):
    items: list[SubscriptionOut]
    next: str | None


class ChargeLineOut(BaseModel):
    kind: str
    description: str
    quantity: Exact | None
    unit_amount: Exact | None
    amount: Exact
    tier: int | None


class ChargeOut(BaseModel):
    """`amount` is exact; the invoice rounds it, once. `version` grows with every change."""

    id: str
    tenant: str
    subscription: str
    plan: str
    plan_name: str
    plan_version: int
    price: str
    kind: str
    description: str
    meter: str | None
    unit: str
    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    due: datetime = Field(description="From when it may be invoiced.")
    quantity: Exact
    amount: Exact
    currency: str
    version: int
    lines: list[ChargeLineOut]
    evidence: dict[str, Any]
    closed: bool = Field(description="Everything received before it was due is in it.")
    withdrawn: bool = Field(description="The subscription has no such part any more.")

    @classmethod
    def of(cls, charge: Charge) -> "ChargeOut":
        return cls(
            id=charge.id,
            tenant=charge.tenant,
            subscription=charge.subscription,
            plan=charge.plan,
            plan_name=charge.plan_name,
            plan_version=charge.plan_version,
            price=charge.price,
            kind=charge.kind,
            description=charge.description,
            meter=charge.meter,
            unit=charge.unit,
            start=charge.period_from,
            end=charge.period_to,
            due=charge.due,
            quantity=charge.quantity,
            amount=charge.amount,
            currency=charge.currency,
            version=charge.version,
            lines=[
                ChargeLineOut(
                    kind=line.kind,
                    description=line.description,
                    quantity=line.quantity,
                    unit_amount=line.unit_amount,
                    amount=line.amount,
                    tier=line.tier,
                )
                for line in charge.lines
            ],
            evidence=charge.evidence,
            closed=charge.closed,
            withdrawn=charge.withdrawn,
        )


class ChargeList(BaseModel):
    items: list[ChargeOut]
    next: str | None
