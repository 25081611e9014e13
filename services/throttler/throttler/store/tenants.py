"""Tenants as the catalog says, what their last evaluation left, and which to look at again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.tenants import Tenant
from common.contracts.topics import shard_of
from throttler.decide import Held


@dataclass(frozen=True, slots=True)
class TenantState:
    """What the last evaluation left: when time alone may change it, and what held."""

    next_evaluation_at: datetime | None
    held: frozenset[Held]


async def upsert_tenants(tx: Any, tenants: Sequence[Tenant]) -> int:
    """Keep the newer definition of each, mark the changed ones; returns how many changed."""
    changed = await tx.fetch(
        """
        INSERT INTO throttler.tenants (key, revision, body)
        SELECT *
        FROM unnest($1::text[], $2::bigint[], $3::jsonb[])
        ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, body = excluded.body
        WHERE tenants.revision < excluded.revision
        RETURNING key
        """,
        [one.key for one in tenants],
        [one.revision for one in tenants],
        tenants,
    )
    await mark_dirty(tx, [row["key"] for row in changed])
    return len(changed)


async def known_tenants(connection: Any, keys: Iterable[str]) -> dict[str, Tenant]:
    """Those of `keys` that the catalog knows."""
    rows = await connection.fetch(
        "SELECT key, body FROM throttler.tenants WHERE key = ANY($1)", list(keys)
    )
    return {row["key"]: msgspec.convert(row["body"], Tenant) for row in rows}


async def mark_dirty(tx: Any, keys: Iterable[str]) -> None:
    """Have the owners of these tenants evaluate them again."""
    # Sorted, so that two transactions never wait for each other crosswise.
    ordered = sorted(set(keys))
    await tx.execute(
        """
        INSERT INTO throttler.dirty_tenants (tenant, shard)
        SELECT *
        FROM unnest($1::text[], $2::integer[])
        ON CONFLICT (tenant) DO UPDATE SET marked_at = now()
        """,
        ordered,
        [shard_of(key) for key in ordered],
    )


async def mark_affected(tx: Any, applies_to: Mapping[str, Any]) -> None:
    """Have everybody evaluated again whom a rule with this `applies_to` may concern."""
    if "tenant" in applies_to:
        await mark_dirty(tx, [applies_to["tenant"]])
        return
    if "plan" in applies_to:
        rows = await tx.fetch(
            """
            SELECT key
            FROM throttler.tenants
            WHERE body -> 'subscriptions' @> jsonb_build_array(jsonb_build_object('plan', $1::text))
            """,
            applies_to["plan"],
        )
    else:
        rows = await tx.fetch(
            """
            SELECT key FROM throttler.tenants
            UNION
            SELECT tenant FROM throttler.tenant_states
            """
        )
    await mark_dirty(tx, [row[0] for row in rows])


async def take_due(
    tx: Any, partition: int, partitions: int, now: datetime, limit: int
) -> list[str]:
    """Tenants of the partition that were marked, or whose time has come; unmarks the marked."""
    marked = await tx.fetch(
        """
        DELETE FROM throttler.dirty_tenants
        WHERE tenant IN (
            SELECT tenant
            FROM throttler.dirty_tenants
            WHERE shard % $2 = $1
            ORDER BY marked_at
            LIMIT $3
            FOR UPDATE SKIP LOCKED
        )
        RETURNING tenant
        """,
        partition,
        partitions,
        limit,
    )
    due = await tx.fetch(
        """
        SELECT tenant
        FROM throttler.tenant_states
        WHERE next_evaluation_at <= $3
          AND shard % $2 = $1
        ORDER BY next_evaluation_at
        LIMIT $4
        """,
        partition,
        partitions,
        now,
        limit,
    )
    return [row["tenant"] for row in (*marked, *due)]


async def tenant_states(connection: Any, keys: Iterable[str]) -> dict[str, TenantState]:
    """The states that the last evaluations of `keys` left."""
    rows = await connection.fetch(
        """
        SELECT tenant, next_evaluation_at, held
        FROM throttler.tenant_states
        WHERE tenant = ANY($1)
        """,
        list(keys),
    )
    return {
        row["tenant"]: TenantState(
            row["next_evaluation_at"],
            frozenset(msgspec.convert(row["held"], list[tuple[str, int, datetime]])),
        )
        for row in rows
    }


async def save_tenant_states(tx: Any, states: Mapping[str, TenantState]) -> None:
    """Write the states of tenants that this transaction's partition owns."""
    keys = sorted(states)
    await tx.execute(
        """
        INSERT INTO throttler.tenant_states (tenant, shard, next_evaluation_at, held)
        SELECT tenant, shard, next_evaluation_at, held::jsonb
        FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::text[])
            AS states (tenant, shard, next_evaluation_at, held)
        ON CONFLICT (tenant) DO UPDATE
        SET next_evaluation_at = excluded.next_evaluation_at, held = excluded.held
        """,
        keys,
        [shard_of(key) for key in keys],
        [states[key].next_evaluation_at for key in keys],
        # As text: an array of lists would be taken for an array of two dimensions.
        [msgspec.json.encode(sorted(states[key].held)).decode() for key in keys],
    )
