"""Versions of rules. A change marks the tenants it may concern, in the same transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.stream.outbox import next_revision
from throttler.rules import Rule
from throttler.schemas import RuleIn
from throttler.store.revisions import RULES_REVISION, SCHEMA, revision
from throttler.store.tenants import mark_affected


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A version of a rule. `body` is None where it was deleted."""

    slug: str
    version: int
    body: dict[str, Any] | None
    at: datetime


class RuleChanged(Exception):
    """Another version is in force than was expected."""


async def put_rule(
    tx: Any, slug: str, body: dict[str, Any], *, expected: int | None = None
) -> tuple[StoredRule, bool]:
    """The rule's current version, and whether `body` made a new one.

    Equal to what is there: nothing changes. Otherwise the version in force must be `expected` (0:
    none is; None: any), or `RuleChanged` is raised: who asks again because an answer was lost is
    told the same. The slug is locked until the transaction ends.
    """
    await _lock_rule(tx, slug)
    current = await rule(tx, slug)
    if current is not None and current.body == body:
        return current, False
    in_force = current.version if current is not None and current.body is not None else 0
    if expected is not None and expected != in_force:
        raise RuleChanged(f"version {in_force} is in force, not {expected}")
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
            await mark_affected(tx, touched["applies_to"])
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
    return await revision(connection, RULES_REVISION)


def _stored_rule(row: Any) -> StoredRule:
    return StoredRule(row["slug"], row["version"], row["body"], row["created_at"])
