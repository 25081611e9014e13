"""catalog.tenants: each tenant with what it subscribes to."""

from datetime import datetime

import msgspec

from common.bus.types import Record
from common.contracts import wire


class TenantSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """`start` (inclusive), `end` (exclusive, None: open) and `cuts` lie on slots of ten seconds.
    A cut ends one billing period and begins the next (bill-now)."""

    id: str
    plan: str
    plan_version: int
    start: datetime
    end: datetime | None = None
    cuts: list[datetime] = []


class Tenant(wire.Contract, frozen=True, kw_only=True):
    """`billing_day`: 1 to 31, the day of the month (in `timezone`) on which periods begin; a day
    that a month does not have means its last. `address`: lines as printed on an invoice."""

    key: str
    name: str
    currency: str
    timezone: str
    billing_day: int
    email: str | None = None
    address: list[str] = []
    revision: int = 0
    subscriptions: list[TenantSubscription] = []


def tenant_record(tenant: Tenant) -> Record:
    """The record of a tenant, under its key."""
    return wire.record(tenant.key, tenant)
