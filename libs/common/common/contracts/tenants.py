"""catalog.tenants: each tenant with what it subscribes to."""

from datetime import date, datetime
from decimal import Decimal

import msgspec

from common.bus.types import Record
from common.contracts import wire
from common.periods import IntervalUnit, Recurrence


class TenantSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription while it runs on one plan's version: after a change of plan or a pause there
    is another entry with the same `id`.

    `start` (inclusive), `end` (exclusive, None: open) and `cuts` lie on slots of ten seconds.
    A cut ends one billing period and begins the next (bill-now). Periods last `count` `unit`s, on
    the tenant's calendar, or counted from the anniversary `since`.
    """

    id: str
    plan: str
    plan_version: int
    start: datetime
    end: datetime | None = None
    cuts: list[datetime] = []
    unit: IntervalUnit = "month"
    count: int = 1
    since: datetime | None = None

    def recurrence(self, zone: str, billing_day: int) -> Recurrence:
        """The billing periods, in the tenant's time zone and from its billing day."""
        return Recurrence(self.unit, self.count, zone, billing_day, self.since)


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """A tax on what the tenant is invoiced. `percent`: 20 is 20 %. `note`: what the law wants said
    beside it, such as why it is 0."""

    name: str
    percent: Decimal
    note: str = ""


class TenantTax(Tax, frozen=True, kw_only=True):
    """`since`: from that day of the tenant's clock on it is instead of an earlier one of its name;
    None: from ever."""

    since: date | None = None


class Tenant(wire.Contract, frozen=True, kw_only=True):
    """`billing_day`: 1 to 31, the day of the month (in `timezone`) on which periods begin; a day
    that a month does not have means its last. `address`: lines as printed on an invoice.
    `taxes`: on what it is charged; each is of the net amount."""

    key: str
    name: str
    currency: str
    timezone: str
    billing_day: int
    email: str | None = None
    address: list[str] = []
    vat_id: str = ""
    taxes: list[TenantTax] = []
    revision: int = 0
    subscriptions: list[TenantSubscription] = []


def tenant_record(tenant: Tenant) -> Record:
    """The record of a tenant, under its key."""
    return wire.record(tenant.key, tenant)
