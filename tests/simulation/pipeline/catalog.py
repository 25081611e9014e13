"""What is metered and sold in every run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from aggregator.meters import define
from common.contracts.meters import Meter
from common.stream.memory import MemoryStore
from rating.billing import Plans, PlanVersion, keys_of
from rating.history import Fact
from rating.plan import read_plan
from rating.store.plans import PlanRow
from rating.subscription import Subscription
from tests.simulation.models.meters import METERS
from tests.simulation.models.subscriptions import PLANS, SUBSCRIPTIONS
from tests.simulation.models.work import mark
from tests.simulation.pipeline.scenario import MIDNIGHT

PLAN: dict[str, Any] = {
    "name": "Standard",
    "currency": "EUR",
    "interval": "month",
    "prices": [
        {"slug": "base", "model": "flat", "amount": "10"},
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.0023"},
        {"slug": "visitors", "meter": "visitors", "model": "unit", "unit_amount": "1"},
        {
            "slug": "traffic",
            "meter": "traffic",
            "model": "graduated",
            "tiers": [
                {"up_to": "20", "unit_amount": "0.5"},
                {"up_to": None, "unit_amount": "0.125"},
            ],
        },
    ],
}
"""The plan that everybody is on."""


def meter(
    slug: str,
    aggregation: str,
    value: str | None = None,
    group_by: dict[str, str] | None = None,
) -> Meter:
    return define(
        slug=slug,
        event_type="http.request",
        aggregation=aggregation,
        value=value,
        group_by=group_by or {},
        unit="",
    )


BEGUN = (
    meter("requests", "count"),
    meter("traffic", "sum", "bytes", {"region": "region"}),
    meter("visitors", "unique_count", "user"),
)
LATER = meter("volume", "sum", "bytes")
"""Defined while usage flows."""


def subscription(tenant: str, start: datetime) -> Subscription:
    """The tenant's subscription to the plan, from `start` on."""
    begun = Fact(revision=1, kind="start", at=start, body={"plan": "standard", "version": 1})
    return Subscription(
        id=f"s-{tenant}",
        tenant=tenant,
        currency="EUR",
        anchor_day=1,
        zone="UTC",
        facts=(begun,),
    )


def plan_version() -> PlanVersion:
    """The plan as it was published."""
    plan, errors = read_plan(PLAN)
    if errors:
        raise ValueError(errors)
    return PlanVersion("standard", 1, plan, {meter: "" for meter in sorted(plan.meters)})


def plans(*held: Subscription) -> Plans:
    """The plan, for whatever asks by the keys of subscriptions."""
    known = plan_version()
    return {key: known for one in held for key in keys_of(one)}


def fill(store: MemoryStore) -> None:
    """What there is when a run begins: meters, a plan, and three tenants who are on it."""
    connection = _Raw(store)
    for number, one in enumerate(BEGUN, 1):
        store.tables[METERS][one.slug] = meter_at(one, number)
        store.tables["aggregator.revisions"][METERS] = number
    units = dict(plan_version().units)
    store.tables[PLANS]["standard", 1] = PlanRow(
        plan="standard", version=1, body=PLAN, units=units, created_at=MIDNIGHT
    )
    month = datetime(2026, 3, 1, tzinfo=UTC)
    for one in (
        subscription("acme", month),
        subscription("cedar", month + timedelta(days=3)),
        subscription("elm", MIDNIGHT - timedelta(hours=2, seconds=20)),
    ):
        store.tables[SUBSCRIPTIONS][one.id] = one
        mark(connection, one, None)


def meter_at(one: Meter, revision: int) -> Meter:
    return msgspec.structs.replace(one, revision=revision)


class _Raw:
    """Writes without a transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def write(self, table: str, key: Any, value: Any) -> None:
        self._store.tables[table][key] = value

    def next_value(self, sequence: str) -> int:
        return self._store.next_value(sequence)
