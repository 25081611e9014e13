"""A plan, tenants on it, and their charges: what rating needs to have something to do."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from bench.load.events import Truth, tenant_key
from bench.metering import HTTP_SECONDS, PATIENCE_SECONDS, POLL_SECONDS
from bench.site import Ground
from common.contracts.topics import shard_of

PLAN: dict[str, Any] = {
    "name": "Bench",
    "currency": "EUR",
    "interval": "month",
    "prices": [
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.0023"},
        {"slug": "traffic", "meter": "bytes", "model": "unit", "unit_amount": "0.0000021"},
    ],
}
SMALL_PLAN: dict[str, Any] = {
    "name": "Small",
    "currency": "EUR",
    "prices": [
        {"slug": "base", "model": "flat", "amount": "49"},
        {"slug": "requests", "meter": "requests", "model": "unit", "unit_amount": "0.0023"},
    ],
}
"""Two charge lines a subscription."""
AT_A_TIME = 8


async def subscribe(
    ground: Ground, tenants: Sequence[str], start: datetime, *, plan: str = "bench"
) -> dict[str, str]:
    """Puts the plan and the tenants, each subscribed since `start`; subscription ids by tenant."""
    found: dict[str, str] = {}
    waiting = list(tenants)
    async with httpx.AsyncClient(base_url=ground.url("rating"), timeout=HTTP_SECONDS) as http:
        (await http.put(f"/v1/plans/{plan}", json=PLAN)).raise_for_status()

        async def work() -> None:
            while waiting:
                tenant = waiting.pop()
                body = {
                    "name": tenant,
                    "currency": "EUR",
                    "timezone": "UTC",
                    "billing_day": 1,
                }
                (await http.put(f"/v1/tenants/{tenant}", json=body)).raise_for_status()
                answer = await http.post(
                    "/v1/subscriptions",
                    json={"tenant": tenant, "plan": plan, "start": start.isoformat()},
                )
                answer.raise_for_status()
                found[tenant] = answer.json()["id"]

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return found


async def plan_in_bulk(ground: Ground, slug: str, body: Mapping[str, Any]) -> None:
    """The first version of a plan on the meter `requests`, as the API would have made it."""
    pool = await ground.pool("rating")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO rating.plans VALUES ($1, 1)", slug)
        await connection.execute(
            """
            INSERT INTO rating.plan_versions (plan, version, body, units)
            VALUES ($1, 1, $2, '{"requests": "request"}')
            """,
            slug,
            json.dumps(body),
        )


async def subscribe_in_bulk(
    ground: Ground, tenants: Sequence[str], start: datetime, *, plan: str, waiting: bool = True
) -> None:
    """One subscription a tenant to the first version of `plan`, as the API would have made it;
    `waiting`: all to be rated. Rating may run or not. `start` lies on a slot."""
    pool = await ground.pool("rating")
    rows = [(tenant, subscription_id(tenant), shard_of(tenant)) for tenant in tenants]
    async with pool.acquire() as connection, connection.transaction():
        last = await connection.fetchval(
            """
            INSERT INTO rating.revisions (name, value)
            VALUES ('tenants', $1)
            ON CONFLICT (name) DO UPDATE SET value = revisions.value + $1
            RETURNING value
            """,
            len(tenants),
        )
        await connection.copy_records_to_table(
            "tenants",
            schema_name="rating",
            columns=["key", "name", "currency", "timezone", "billing_day", "revision"],
            records=[
                (tenant, tenant, "EUR", "UTC", 1, last - number)
                for number, tenant in enumerate(tenants)
            ],
        )
        await connection.copy_records_to_table(
            "subscriptions",
            schema_name="rating",
            columns=["id", "tenant", "shard", "starts_at"],
            records=[(id, tenant, shard, start) for tenant, id, shard in rows],
        )
        made = [id for _, id, _ in rows]
        await connection.execute(
            """
            INSERT INTO rating.subscription_facts (subscription, revision, kind, at, body)
            SELECT id, 1, 'start', starts_at, jsonb_build_object('plan', $2::text, 'version', 1)
            FROM rating.subscriptions
            WHERE id = ANY ($1)
            """,
            made,
            plan,
        )
        await connection.execute(
            """
            INSERT INTO rating.subscription_plans
                (subscription, tenant, shard, plan, plan_version, since)
            SELECT id, tenant, shard, $2, 1, starts_at
            FROM rating.subscriptions
            WHERE id = ANY ($1)
            """,
            made,
            plan,
        )
        if waiting:
            await _wait_for_rating(connection, made)
    await pool.execute(
        "ANALYZE rating.subscriptions, rating.subscription_facts, rating.subscription_plans"
    )


async def let_rate(ground: Ground, tenants: Sequence[str]) -> None:
    """The subscriptions that `subscribe_in_bulk` made for the tenants are to be rated whole."""
    pool = await ground.pool("rating")
    await _wait_for_rating(pool, [subscription_id(tenant) for tenant in tenants])


async def _wait_for_rating(connection: Any, ids: Sequence[str]) -> None:
    await connection.execute(
        """
        INSERT INTO rating.dirty_subscriptions (subscription, shard)
        SELECT id, shard
        FROM rating.subscriptions
        WHERE id = ANY ($1)
        """,
        ids,
    )


def subscription_id(tenant: str) -> str:
    """Of the subscription that `subscribe_in_bulk` makes for a tenant."""
    return f"sub-{tenant}"


async def charged(ground: Ground, tenants: Sequence[str]) -> int:
    """Requests and bytes in all charges of the tenants together, as stored: cheap to watch."""
    pool = await ground.pool("rating")
    found = await pool.fetchval(
        "SELECT coalesce(sum(quantity), 0) FROM rating.charges WHERE tenant = ANY ($1)", tenants
    )
    return int(found)


async def until_charged(ground: Ground, truth: Truth) -> None:
    """Returns when the charges of the load's tenants add up to the truth; TimeoutError when they
    stand still."""
    tenants = [tenant_key(number) for number in range(len(truth.counts))]
    owed = sum(truth.counts) + sum(truth.sums)
    at, moved = -1, time.monotonic()
    while (now := await charged(ground, tenants)) != owed:
        if now != at:
            at, moved = now, time.monotonic()
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"charges stand at {now} of {owed}")
        await asyncio.sleep(POLL_SECONDS)


async def until_rated(ground: Ground) -> None:
    """Returns when no subscription waits to be rated."""
    pool = await ground.pool("rating")
    query = "SELECT count(*) FROM rating.dirty_subscriptions"
    at, moved = -1, time.monotonic()
    while now := await pool.fetchval(query):
        if now != at:
            at, moved = now, time.monotonic()
        if time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"{now} subscriptions wait to be rated")
        await asyncio.sleep(POLL_SECONDS)


async def faults_of_charges(ground: Ground, truth: Truth) -> list[str]:
    """What differs between `GET /v1/charges` and the truth, in both prices."""
    found: dict[tuple[str, str], int] = {}
    async for charge in _charges(ground):
        found[charge["tenant"], charge["price"]] = int(charge["quantity"])
    wanted: list[tuple[str, Iterable[int]]] = [("requests", truth.counts), ("traffic", truth.sums)]
    return [
        f"{price} of {tenant} is {found.get((tenant, price), 0)}, not {value}"
        for price, values in wanted
        for tenant, value in ((tenant_key(n), value) for n, value in enumerate(values))
        if found.get((tenant, price), 0) != value
    ][:3]


async def _charges(ground: Ground) -> Any:
    query: dict[str, Any] = {"limit": 1000}
    async with httpx.AsyncClient(base_url=ground.url("rating"), timeout=HTTP_SECONDS) as http:
        while True:
            answer = await http.get("/v1/charges", params=query)
            answer.raise_for_status()
            page = answer.json()
            for charge in page["items"]:
                yield charge
            if not page.get("next"):
                return
            query["cursor"] = page["next"]
