"""Publishes tenants with their subscriptions to catalog.tenants."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from common.bus.types import Bus, Record
from common.contracts.tenants import Tenant, TenantSubscription, tenant_record
from common.contracts.topics import TENANTS
from common.stream.outbox import Outbox
from rating.billing import Plans, Stay, cuts_of, keys_of, recurrence_of, stays
from rating.plan_book import PlanBook
from rating.store import SCHEMA, subscriptions, tenants
from rating.subscription import Subscription


def tenants_outbox(pool: asyncpg.Pool, bus: Bus, worker: str, lease_seconds: float) -> Outbox:
    """The publisher of tenants, by the revision of their last change."""
    book = PlanBook()

    async def fetch(connection: Any, after: int, limit: int) -> Sequence[tuple[int, str, Record]]:
        return await to_publish(connection, book, after, limit)

    return Outbox(
        pool=pool,
        bus=bus,
        schema=SCHEMA,
        name=TENANTS.name,
        topic=TENANTS,
        fetch=fetch,
        worker=worker,
        lease_seconds=lease_seconds,
        every_seconds=0.1,
    )


async def to_publish(
    connection: Any, book: PlanBook, after: int, limit: int
) -> Sequence[tuple[int, str, Record]]:
    """(revision, key, record) of tenants that changed after revision `after`.

    A change of a tenant that commits between the reads has a higher revision, so it is published
    again; nothing is missed.
    """
    changed = await tenants.changed(connection, after, limit)
    found = await subscriptions.of_tenants(connection, [row.key for _, row in changed])
    plans = await book.load(connection, {key for one in found for key in keys_of(one)})
    held: dict[str, list[TenantSubscription]] = {}
    for one in found:
        held.setdefault(one.tenant, []).extend(entries(one, plans))
    return [
        (
            revision,
            row.key,
            tenant_record(
                Tenant(
                    key=row.key,
                    name=row.name,
                    currency=row.currency,
                    timezone=row.timezone,
                    billing_day=row.billing_day,
                    email=row.email,
                    address=row.address,
                    vat_id=row.vat_id,
                    taxes=row.taxes,
                    revision=revision,
                    subscriptions=held.get(row.key, []),
                )
            ),
        )
        for revision, row in changed
    ]


def entries(subscription: Subscription, plans: Plans) -> list[TenantSubscription]:
    """The subscription as others see it: one entry a stay on a plan."""
    return [_entry(subscription, stay) for stay in stays(subscription, plans)]


def _entry(subscription: Subscription, stay: Stay) -> TenantSubscription:
    recurrence = recurrence_of(subscription, stay.plan.plan)
    return TenantSubscription(
        id=subscription.id,
        plan=stay.plan.slug,
        plan_version=stay.plan.version,
        start=stay.start,
        end=stay.end,
        cuts=cuts_of(subscription, stay),
        unit=recurrence.unit,
        count=recurrence.count,
        since=recurrence.since,
    )
