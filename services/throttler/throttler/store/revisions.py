"""Revision counters: `next_revision` of common.stream.outbox moves them on."""

from typing import Any

SCHEMA = "throttler"
RULES_REVISION = "rules"
DECISIONS_REVISION = "decisions"


async def revision(connection: Any, name: str) -> int:
    """The newest revision under `name`; 0 before the first."""
    value = await connection.fetchval("SELECT value FROM throttler.revisions WHERE name = $1", name)
    return value or 0
