"""Every SQL statement of the throttler. Functions take a connection; callers own transactions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.decisions import Decision
from common.contracts.tenants import Tenant
from common.contracts.topics import shard_of
from common.stream.outbox import next_revision
from throttler.decide import Held
from throttler.rules import Rule
from throttler.schemas import RuleIn

SCHEMA = "throttler"
RULES_REVISION = "rules"
DECISIONS_REVISION = "decisions"


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A version of a rule. `body` is None where it was deleted."""

    slug: str
    version: int
    body: dict[str, Any] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class TenantState:
    """What the last evaluation left: when time alone may change it, and what held."""

    next_evaluation_at: datetime | None
    held: frozenset[Held]


# Rules


async def put_rule(tx: Any, slug: str, body: dict[str, Any]) -> tuple[StoredRule, bool]:
    """The rule's current version, and whether `body` made a new one.

    Equal to what is there: nothing changes. The slug is locked until the transaction ends.
    """
    await _lock_rule(tx, slug)
    current = await rule(tx, slug)
    if current is not None and current.body == body:
        return current, False
    return await _add_version(tx, slug, current, body), True


async def delete_rule(tx: Any, slug: str) -> bool | None:
    """Whether the rule was there and is gone now; None when there never was one."""
    await _lock_rule(tx, slug)
    current = await rule(tx, slug)
    if current is None:
        return None
    if current.body is None:
        return False
    await _add_version(tx, slug, current, None)
    return True


async def _lock_rule(tx: Any, slug: str) -> None:
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"rule:{slug}")


async def _add_version(
    tx: Any, slug: str, current: StoredRule | None, body: dict[str, Any] | None
) -> StoredRule:
    row = await tx.fetchrow(
        """
        INSERT INTO throttler.rule_versions (slug, version, body)
        VALUES ($1, $2, $3)
        RETURNING slug, version, body, created_at
        """,
        slug,
        current.version + 1 if current else 1,
        body,
    )
    await next_revision(tx, SCHEMA, RULES_REVISION)
    for touched in (current.body if current else None, body):
        if touched is not None:
            await _mark_affected(tx, touched["applies_to"])
    return _stored_rule(row)


async def rule(connection: Any, slug: str) -> StoredRule | None:
    """The newest version of a rule, which may be its deletion."""
    row = await connection.fetchrow(
        """
        SELECT slug, version, body, created_at
        FROM throttler.rule_versions
        WHERE slug = $1
        ORDER BY version DESC
        LIMIT 1
        """,
        slug,
    )
    return _stored_rule(row) if row else None


async def rule_history(connection: Any, slug: str, limit: int) -> list[StoredRule]:
    """The versions of a rule, newest first."""
    rows = await connection.fetch(
        """
        SELECT slug, version, body, created_at
        FROM throttler.rule_versions
        WHERE slug = $1
        ORDER BY version DESC
        LIMIT $2
        """,
        slug,
        limit,
    )
    return [_stored_rule(row) for row in rows]


async def current_rules(connection: Any, after: str = "", limit: int = 100_000) -> list[StoredRule]:
    """The rules in force, by slug."""
    rows = await connection.fetch(
        """
        SELECT slug, version, body, created_at
        FROM (
            SELECT DISTINCT ON (slug) slug, version, body, created_at
            FROM throttler.rule_versions
            WHERE slug > $1
            ORDER BY slug, version DESC
        ) AS newest
        WHERE body IS NOT NULL
        ORDER BY slug
        LIMIT $2
        """,
        after,
        limit,
    )
    return [_stored_rule(row) for row in rows]


async def rules_in_force(connection: Any) -> list[Rule]:
    """The rules as the domain knows them."""
    return [
        RuleIn.model_validate(one.body).rule(one.slug, one.version)
        for one in await current_rules(connection)
    ]


async def rules_revision(connection: Any) -> int:
    """Grows with every change of any rule."""
    return await _revision(connection, RULES_REVISION)


# Tenants, and which of them must be looked at again


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


async def tenants(connection: Any, keys: Iterable[str]) -> dict[str, Tenant]:
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


async def _mark_affected(tx: Any, applies_to: Mapping[str, Any]) -> None:
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


# Decisions


async def save_decisions(tx: Any, decisions: Iterable[Decision]) -> list[Decision]:
    """Write decisions and their log entries; returns them with their revisions.

    Call it last in the transaction: it holds the revision counter until the commit.
    """
    saved = []
    for decision in decisions:
        revision = await next_revision(tx, SCHEMA, DECISIONS_REVISION)
        decision = msgspec.structs.replace(decision, revision=revision)
        await tx.execute(
            """
            INSERT INTO throttler.decisions (tenant, action, revision, body)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, action) DO UPDATE
            SET revision = excluded.revision, body = excluded.body
            """,
            decision.tenant,
            decision.action,
            revision,
            decision,
        )
        await tx.execute(
            """
            INSERT INTO throttler.decision_log
                (revision, tenant, action, state, status, rule, rule_version,
                 meter, usage, "limit", window_end, reason, as_of, decided_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            """,
            revision,
            decision.tenant,
            decision.action,
            decision.state,
            decision.status,
            decision.rule,
            decision.rule_version,
            decision.meter,
            decision.usage,
            decision.limit,
            decision.window_end,
            decision.reason,
            decision.as_of,
            decision.decided_at,
        )
        saved.append(decision)
    return saved


async def decisions_of(connection: Any, keys: Iterable[str]) -> dict[str, Decision]:
    """The current decisions of tenants, for every request ("all")."""
    rows = await connection.fetch(
        "SELECT body FROM throttler.decisions WHERE tenant = ANY($1) AND action = 'all'", list(keys)
    )
    found = [msgspec.convert(row["body"], Decision) for row in rows]
    return {decision.tenant: decision for decision in found}


async def decisions_since(connection: Any, revision: int, limit: int) -> list[Decision]:
    """Current decisions with a higher revision, by revision.

    A tenant has one row, so what was overtaken is left out and nothing is ever too old to ask.
    """
    rows = await connection.fetch(
        """
        SELECT body
        FROM throttler.decisions
        WHERE revision > $1
        ORDER BY revision
        LIMIT $2
        """,
        revision,
        limit,
    )
    return [msgspec.convert(row["body"], Decision) for row in rows]


async def decisions_revision(connection: Any) -> int:
    """The revision of the newest decision; every smaller one is visible."""
    return await _revision(connection, DECISIONS_REVISION)


async def decision_log(
    connection: Any, tenant: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """The tenant's log below revision `before`, newest first."""
    rows = await connection.fetch(
        """
        SELECT revision, tenant, action, state, status, rule, rule_version,
               meter, usage, "limit", window_end, reason, as_of, decided_at
        FROM throttler.decision_log
        WHERE tenant = $1
          AND ($2::bigint IS NULL OR revision < $2)
        ORDER BY revision DESC
        LIMIT $3
        """,
        tenant,
        before,
        limit,
    )
    return [dict(row) for row in rows]


async def is_writable(connection: Any) -> bool:
    """Whether this role may write here now (not on a standby)."""
    writable: bool = await connection.fetchval("SELECT NOT pg_is_in_recovery()")
    return writable


async def _revision(connection: Any, name: str) -> int:
    value = await connection.fetchval("SELECT value FROM throttler.revisions WHERE name = $1", name)
    return value or 0


def _stored_rule(row: Any) -> StoredRule:
    return StoredRule(row["slug"], row["version"], row["body"], row["created_at"])
