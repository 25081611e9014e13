"""What the services answer. Fields that are not known here are ignored; decimals are exact."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

from common.contracts.decisions import Decision

__all__ = [
    "Accepted",
    "Accounting",
    "Charge",
    "ChargeExplanation",
    "DeadEvent",
    "Decision",
    "Decisions",
    "EventState",
    "Explanation",
    "Invoice",
    "Meter",
    "Outcome",
    "Page",
    "Plan",
    "Readiness",
    "Rejected",
    "Rerate",
    "RerateLine",
    "Rule",
    "Run",
    "Simulation",
    "Subscription",
    "Tenant",
    "UsageItem",
    "UsagePage",
]

T = TypeVar("T")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all answers."""


class Page(Model, Generic[T], frozen=True, kw_only=True):
    """A part of a list; `next` is the cursor of the following part, None at the end."""

    items: list[T]
    next: str | None = None


class Rejected(Model, frozen=True, kw_only=True):
    """An event that was parked: its place in the request, and why."""

    index: int
    id: str | None = None
    code: str = ""
    message: str = ""


class Accepted(Model, frozen=True, kw_only=True):
    """What became of a request with events."""

    accepted: int = 0
    rejected: list[Rejected] = []


class EventState(Model, frozen=True, kw_only=True):
    """Where one event is."""

    state: Literal["pending", "counted", "duplicate_conflict", "parked", "unknown"]
    source: str = ""
    id: str = ""
    origin: dict[str, Any] | None = None
    received_at: datetime | None = None
    tenant: str | None = None
    type: str | None = None
    time: datetime | None = None
    hour: datetime | None = None
    code: str | None = None
    dead_events: list[str] = []
    searched_all: bool = True


class DeadEvent(Model, frozen=True, kw_only=True):
    """An event that was received and not counted."""

    id: str
    state: str
    code: str = ""
    message: str = ""
    source: str | None = None
    event_id: str | None = None
    received_at: datetime | None = None


class Accounting(Model, frozen=True, kw_only=True):
    """received = counted + duplicates + parked + pending."""

    received: int
    counted: int
    duplicates: int
    parked: int
    pending: int


class Meter(Model, frozen=True, kw_only=True):
    slug: str
    event_type: str
    aggregation: str
    value: str | None = None
    group_by: dict[str, str] = {}
    unit: str = ""


class UsageItem(Model, frozen=True, kw_only=True):
    """Usage of a tenant in [start, end); `value` is None where there is nothing to tell."""

    tenant: str
    value: Decimal | None = None
    start: datetime | None = msgspec.field(name="from", default=None)
    end: datetime | None = msgspec.field(name="to", default=None)
    group: dict[str, str] = {}


class UsagePage(Page[UsageItem], frozen=True, kw_only=True):
    """Usage of one meter; everything received before `as_of` is in it."""

    meter: str = ""
    unit: str = ""
    window: str = ""
    as_of: datetime | None = None


class Tenant(Model, frozen=True, kw_only=True):
    key: str
    name: str = ""
    currency: str = ""
    timezone: str = "UTC"
    billing_day: int = 1
    email: str | None = None
    address: list[str] = []
    vat_id: str = ""
    taxes: list[dict[str, Any]] = []


class Plan(Model, frozen=True, kw_only=True):
    slug: str
    version: int = 1
    name: str = ""
    currency: str = ""
    interval: str = "month"
    prices: list[dict[str, Any]] = []


class Subscription(Model, frozen=True, kw_only=True):
    id: str
    tenant: str
    plan: str
    version: int = 1
    start: datetime | None = None
    end: datetime | None = None


class Charge(Model, frozen=True, kw_only=True):
    """One price in one period."""

    id: str
    tenant: str
    subscription: str
    price: str
    currency: str
    quantity: Decimal | None = None
    amount: Decimal
    meter: str | None = None
    plan: str = ""
    plan_version: int = 0
    start: datetime | None = msgspec.field(name="from", default=None)
    end: datetime | None = msgspec.field(name="to", default=None)
    version: int = 0
    unit: str = ""
    lines: list[dict[str, Any]] = []


class ChargeExplanation(Model, frozen=True, kw_only=True):
    """How a charge's amount came about. `usage` has a page of `rows` and the cursor `next`.
    `recomputes`: its evidence gives its amount again; None: `why_not` says what is missing."""

    charge: Charge
    meter: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    price: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    exact: Decimal
    rounded: Decimal
    residual: Decimal
    recomputes: bool | None = None
    why_not: str | None = None


class Rerate(Model, frozen=True, kw_only=True):
    """A re-rating: what was asked for, what it would change by currency, who decided it."""

    id: str
    state: Literal["preview", "applied", "discarded"]
    created_at: datetime
    created_by: str
    reason: str
    request: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    decided_at: datetime | None = None
    decided_by: str | None = None


class RerateLine(Model, frozen=True, kw_only=True):
    """A charge whose amount changes; `before` None: there was none."""

    number: int
    tenant: str
    charge: str
    before: Charge | None = None
    after: Charge


class Outcome(Model, frozen=True, kw_only=True):
    """What a tenant paid, and would have paid. `difference` above zero: more."""

    tenant: str
    currency: str
    now: Decimal
    then: Decimal
    difference: Decimal


class Simulation(Model, frozen=True, kw_only=True):
    """What a draft would have earned. `tenants`: the greatest loss first; `skipped`: subscriptions
    that the draft cannot be for; `chart`: an SVG document; `start`, `end`: as they were asked for,
    days or instants."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    totals: list[dict[str, Any]]
    tenants: list[Outcome]
    skipped: list[dict[str, Any]]
    chart: str


class Invoice(Model, frozen=True, kw_only=True):
    """An invoice. `raw` of a single invoice has all its fields."""

    id: str = ""
    tenant: str = ""
    number: str | None = None
    state: str = ""
    currency: str = ""
    total: Decimal | None = None
    payable: Decimal | None = None
    period_from: datetime | None = None
    period_to: datetime | None = None
    lines: list[dict[str, Any]] = []


class Run(Model, frozen=True, kw_only=True):
    """A billing run."""

    id: str
    state: str = ""
    through: datetime | None = None


class Wallet(Model, frozen=True, kw_only=True):
    """What a tenant paid in advance in one currency."""

    currency: str
    balance: Decimal


class Wallets(Model, frozen=True, kw_only=True):
    """A tenant's wallets."""

    tenant: str
    items: list[Wallet] = []


class WalletEntry(Model, frozen=True, kw_only=True):
    """A movement of a wallet's money. `balance`: what it held afterwards."""

    number: int
    kind: str
    amount: Decimal
    balance: Decimal
    currency: str = ""
    invoice: str | None = None
    reference: str = ""
    reason: str = ""
    by: str = ""
    at: datetime | None = None


class Rule(Model, frozen=True, kw_only=True):
    """A rule's current version."""

    slug: str
    version: int
    meter: str
    applies_to: dict[str, Any]
    window: str
    limit: Decimal
    action: dict[str, Any]
    mode: str = "enforce"
    on_failure: dict[str, Any] = {}
    release: Decimal | None = None
    updated_at: datetime | None = None


class Decisions(Page[Decision], frozen=True, kw_only=True):
    """Decisions above a revision; all of them where `snapshot`."""

    revision: int = 0
    snapshot: bool = False


class Explanation(Decision, frozen=True, kw_only=True):
    """A tenant's decision, with each rule evaluated now and the last entries of the log."""

    known: bool = True
    rules: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []


class Readiness(Model, frozen=True, kw_only=True):
    """Whether a process can do its work, by check."""

    ready: bool = False
    checks: dict[str, bool] = {}
