"""Current decisions, by revision, and the log of all."""

from collections.abc import Iterable
from typing import Any

import msgspec

from common.contracts.decisions import Decision
from common.stream.outbox import next_revision
from throttler.store.revisions import DECISIONS_REVISION, SCHEMA, revision


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
    return await revision(connection, DECISIONS_REVISION)


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
