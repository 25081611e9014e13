"""throttle.decisions: the decisions table as a topic, in the order of revisions."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from common.bus.types import Bus, Record
from common.contracts import wire
from common.contracts.decisions import decision_key
from common.contracts.topics import DECISIONS
from common.stream.outbox import Outbox
from throttler import store


def decisions_outbox(pool: asyncpg.Pool, bus: Bus, worker: str, lease_seconds: float) -> Outbox:
    """Publishes each tenant's current decision; one that was overtaken meanwhile is left out."""
    return Outbox(
        pool=pool,
        bus=bus,
        schema=store.SCHEMA,
        name=store.DECISIONS_REVISION,
        topic=DECISIONS,
        fetch=_fetch,
        worker=worker,
        lease_seconds=lease_seconds,
    )


async def _fetch(connection: Any, after: int, limit: int) -> Sequence[tuple[int, str, Record]]:
    return [
        (one.revision, one.tenant, wire.record(decision_key(one.tenant, one.action), one))
        for one in await store.decisions_since(connection, after, limit)
    ]
