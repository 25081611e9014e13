"""Subscriptions from before histories become histories, and mean the same."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg

from common.db import connect
from common.migrations import migrate
from rating.store import subscriptions
from stack.environment import as_role
from tests.support.databases import Database

START = datetime(2026, 1, 1, tzinfo=UTC)
CUT = datetime(2026, 2, 10, tzinfo=UTC)
END = datetime(2026, 3, 5, tzinfo=UTC)


async def test_a_subscription_with_cuts_and_an_end(database: Callable[..., Database]) -> None:
    owner = database().owner_url
    service = as_role(owner, "rating")

    def to(version: str) -> None:
        migrate("rating", database_url=service, migrations_url=owner, to=version)

    await asyncio.to_thread(to, "0001")
    connection = await asyncpg.connect(owner)
    await connection.execute(
        """
        INSERT INTO rating.tenants (key, name, currency, timezone, billing_day, revision)
        VALUES ('acme', 'Acme', 'USD', 'UTC', 1, 1);
        INSERT INTO rating.plans VALUES ('p', 1);
        INSERT INTO rating.plan_versions (plan, version, body) VALUES ('p', 1, '{}');
        INSERT INTO rating.subscriptions
            (id, tenant, shard, plan, plan_version, starts_at, ends_at)
        VALUES ('s', 'acme', 7, 'p', 1, '2026-01-01Z', '2026-03-05Z'),
               ('t', 'acme', 7, 'p', 1, '2026-03-05Z', NULL);
        INSERT INTO rating.cuts VALUES ('s', '2026-02-10Z');
        """
    )
    await connection.close()
    await asyncio.to_thread(to, "head")
    connection = await connect(service)
    try:
        one, other = await subscriptions.many(connection, ["s", "t"])
        spans = await subscriptions.spans(connection, "acme", "p")
    finally:
        await connection.close()
    assert (one.start, one.end, one.timeline.cuts) == (START, END, (CUT,))
    assert [fact.revision for fact in one.facts] == [1, 2, 3]
    assert one.segment(CUT).terms.plan == "p"
    assert (other.start, other.end) == (END, None)
    assert spans == [(START, END), (END, None)]
