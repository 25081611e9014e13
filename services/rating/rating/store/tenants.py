"""Tenants, and the revisions by which they are published."""

from collections.abc import Sequence
from typing import Any

import msgspec

from common.contracts.tenants import TenantTax
from common.stream.outbox import next_revision
from rating.store import SCHEMA


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as its author put it."""

    key: str
    name: str
    currency: str
    timezone: str
    billing_day: int
    email: str | None = None
    address: list[str] = []
    vat_id: str = ""
    taxes: list[TenantTax] = []


_COLUMNS = "key, name, currency, timezone, billing_day, email, address, vat_id, taxes"


async def lock(tx: Any, key: str) -> TenantRow | None:
    """The tenant; nobody else changes it or its subscriptions until the transaction ends."""
    row = await tx.fetchrow(
        f"""
        SELECT {_COLUMNS}
        FROM rating.tenants
        WHERE key = $1
        FOR UPDATE
        """,
        key,
    )
    return _tenant(row)


async def lock_all(tx: Any, keys: Sequence[str] | None) -> None:
    """Lock those tenants (None: all), in the order of their keys."""
    await tx.fetch(
        """
        SELECT
        FROM rating.tenants
        WHERE $1::text[] IS NULL OR key = ANY($1)
        ORDER BY key
        FOR UPDATE
        """,
        None if keys is None else list(keys),
    )


async def missing(connection: Any, keys: Sequence[str]) -> list[str]:
    """Those of the keys that no tenant has."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT wanted.key
        FROM unnest($1::text[]) AS wanted (key)
        WHERE NOT EXISTS (SELECT FROM rating.tenants WHERE tenants.key = wanted.key)
        """,
        list(keys),
    )
    return [row["key"] for row in rows]


async def get(connection: Any, key: str) -> TenantRow | None:
    row = await connection.fetchrow(
        f"""
        SELECT {_COLUMNS}
        FROM rating.tenants
        WHERE key = $1
        """,
        key,
    )
    return _tenant(row)


async def page(connection: Any, after: str, limit: int) -> list[TenantRow]:
    """Up to `limit` tenants with keys after `after`, by key."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        FROM rating.tenants
        WHERE key > $1
        ORDER BY key
        LIMIT $2
        """,
        after,
        limit,
    )
    return [msgspec.convert(dict(row), TenantRow) for row in rows]


async def put(tx: Any, tenant: TenantRow) -> None:
    """Create or replace the tenant; it will be published."""
    revision = await next_revision(tx, SCHEMA, "tenants")
    await tx.execute(
        f"""
        INSERT INTO rating.tenants ({_COLUMNS}, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (key) DO UPDATE
        SET name = excluded.name,
            currency = excluded.currency,
            timezone = excluded.timezone,
            billing_day = excluded.billing_day,
            email = excluded.email,
            address = excluded.address,
            vat_id = excluded.vat_id,
            taxes = excluded.taxes,
            revision = excluded.revision
        """,
        tenant.key,
        tenant.name,
        tenant.currency,
        tenant.timezone,
        tenant.billing_day,
        tenant.email,
        tenant.address,
        tenant.vat_id,
        tenant.taxes,
        revision,
    )


async def touch(tx: Any, key: str) -> None:
    """A subscription of the tenant changed: it will be published again. Call it last: it holds
    the row from which all revisions come."""
    revision = await next_revision(tx, SCHEMA, "tenants")
    await tx.execute("UPDATE rating.tenants SET revision = $2 WHERE key = $1", key, revision)


async def has_subscriptions(connection: Any, key: str) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM rating.subscriptions WHERE tenant = $1)", key
    )
    return found


async def changed(connection: Any, after: int, limit: int) -> list[tuple[int, TenantRow]]:
    """Up to `limit` tenants that changed after revision `after`, each with its own, in order."""
    rows = await connection.fetch(
        f"""
        SELECT revision, {_COLUMNS}
        FROM rating.tenants
        WHERE revision > $1
        ORDER BY revision
        LIMIT $2
        """,
        after,
        limit,
    )
    return [(row["revision"], msgspec.convert(dict(row), TenantRow)) for row in rows]


def _tenant(row: Any) -> TenantRow | None:
    return msgspec.convert(dict(row), TenantRow) if row is not None else None
