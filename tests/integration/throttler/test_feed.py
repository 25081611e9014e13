"""The edges' way to decisions: snapshot, deltas, heartbeats, resuming, long poll."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from common.contracts.decisions import Decision, decode_decision
from common.contracts.topics import DECISIONS
from tests.integration.throttler.test_crossing import put, state_becomes
from tests.integration.throttler.world import PARTITIONS, World
from tests.support.eventually import eventually


async def events(
    client: httpx.AsyncClient, since: int | None = None, last_event_id: str | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    params = {} if since is None else {"since": str(since)}
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with aconnect_sse(
        client, "GET", "/v1/decisions", params=params, headers=headers
    ) as source:
        async for event in source.aiter_sse():
            yield event


async def first(stream: AsyncIterator[ServerSentEvent], kind: str) -> dict[str, Any]:
    """The data of the next event of that kind."""
    async with asyncio.timeout(15):
        async for event in stream:
            if event.event == kind:
                data: dict[str, Any] = json.loads(event.data)
                assert event.id == str(data["revision"])
                return data
    raise AssertionError(f"the stream ended without a {kind}")


async def test_an_edge_gets_a_snapshot_then_deltas_and_heartbeats(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        await put(client, "daily")
        await world.use("acme", 1)
        await state_becomes(client, "allow")
        async with aclosing(events(client)) as stream:
            snapshot = await first(stream, "snapshot")
            assert [(one["tenant"], one["state"]) for one in snapshot["items"]] == [
                ("acme", "allow")
            ]
            heartbeat = await first(stream, "heartbeat")
            assert heartbeat["revision"] == snapshot["revision"]
            while heartbeat["as_of"] is None:
                heartbeat = await first(stream, "heartbeat")
            assert heartbeat["as_of"] == "2026-05-15T12:00:00Z"

            await world.use("acme", 99)
            delta = await first(stream, "delta")
            assert [(one["tenant"], one["state"]) for one in delta["items"]] == [("acme", "deny")]
            assert delta["revision"] > snapshot["revision"]


async def test_an_edge_resumes_where_it_was(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        await put(client, "daily")
        await world.use("acme", 100)
        denied = await state_becomes(client, "deny")
        await world.use("globex", 100)
        await state_becomes(client, "deny", "globex")

        async with aclosing(events(client, since=denied["revision"])) as stream:
            missed = await first(stream, "delta")
            assert [one["tenant"] for one in missed["items"]] == ["globex"]
        # The header of a reconnecting EventSource wins over the address it was opened with.
        async with aclosing(events(client, 0, str(missed["revision"]))) as stream:
            assert (await first(stream, "heartbeat"))["revision"] == missed["revision"]
        for unknown in (0, 10**12):
            async with aclosing(events(client, since=unknown)) as stream:
                assert len((await first(stream, "snapshot"))["items"]) == 2


async def test_another_api_process_streams_the_same(world: World) -> None:
    await world.meter()
    async with (
        world.throttler() as client,
        world.throttler(worker=False, worker_id="two") as other,
        aclosing(events(other)) as stream,
    ):
        await first(stream, "snapshot")
        await put(client, "daily")
        await world.use("acme", 100)
        delta = await first(stream, "delta")
        assert (delta["items"][0]["tenant"], delta["items"][0]["state"]) == ("acme", "deny")


async def test_as_json_with_long_poll(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        empty = (await client.get("/v1/decisions")).json()
        assert empty == {"revision": 0, "snapshot": True, "items": [], "next": None}
        await put(client, "daily")
        for tenant in ("acme", "globex", "initech"):
            await world.use(tenant, 100)
            await state_becomes(client, "deny", tenant)

        whole = (await client.get("/v1/decisions")).json()
        assert (whole["snapshot"], len(whole["items"])) == (True, 3)
        part = (await client.get("/v1/decisions", params={"limit": 2})).json()
        assert len(part["items"]) == 2
        rest = (await client.get("/v1/decisions", params={"since": part["next"]})).json()
        assert rest["snapshot"] is False
        assert [one["tenant"] for one in rest["items"]] == [whole["items"][2]["tenant"]]
        assert (rest["revision"], rest["next"]) == (whole["revision"], None)

        waiting = asyncio.create_task(
            client.get("/v1/decisions", params={"since": whole["revision"], "wait": 15})
        )
        await world.use("umbrella", 100)
        news = (await waiting).json()
        assert [one["tenant"] for one in news["items"]] == ["umbrella"]
        none = await client.get("/v1/decisions", params={"since": news["revision"], "wait": 0.1})
        assert none.json()["items"] == []


async def test_decisions_are_published_by_revision(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        await put(client, "daily")
        for tenant in ("acme", "globex"):
            await world.use(tenant, 100)
            await state_becomes(client, "deny", tenant)

        async def published() -> list[Decision] | None:
            found: list[Decision] = []
            for partition in range(PARTITIONS):
                reader = await world.bus.reader(DECISIONS.name, partition, 0)
                end = await world.bus.end_offset(DECISIONS.name, partition)
                position = 0
                while position < end:
                    for one in await reader.read(100, 2):
                        position = one.offset + 1
                        found += [decode_decision(one.value)] if one.value else []
                await reader.close()
            return found if {one.tenant for one in found} == {"acme", "globex"} else None

        decisions = await eventually(published, timeout=20)
        assert {one.state for one in decisions} == {"deny"}
        assert decisions[0].limit == 100


async def test_another_history_ends_the_stream_and_brings_a_snapshot(world: World) -> None:
    await world.meter()
    async with world.throttler() as client:
        await put(client, "daily")
        await world.use("acme", 100)
        await state_becomes(client, "deny")
        async with aclosing(events(client)) as stream:
            revision = (await first(stream, "snapshot"))["revision"]
            owner = await asyncpg.connect(world.owner_url)
            await owner.execute("DELETE FROM throttler.decisions")
            await owner.execute("UPDATE throttler.revisions SET value = 0 WHERE name = 'decisions'")
            await owner.close()
            async with asyncio.timeout(10):
                kinds = [event.event async for event in stream]
            assert set(kinds) <= {"heartbeat"}
        async with aclosing(events(client, since=revision)) as stream:
            assert (await first(stream, "snapshot"))["items"] == []
