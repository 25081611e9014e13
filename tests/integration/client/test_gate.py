"""The SDK against a real throttler: rules, decisions, and the middleware's gate."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from tests.integration.throttler.test_crossing import DAILY, put
from tests.integration.throttler.test_processes import environment
from tests.integration.throttler.world import World
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess
from tollgate import AsyncClient, Patience
from tollgate.enforcement import Gate
from tollgate.errors import Invalid, NotFound


async def test_rules_and_decisions_through_the_sdk(world: World) -> None:
    await world.meter()
    async with world.throttler() as http, AsyncClient(throttler=str(http.base_url)) as client:
        rule = await client.put_rule("daily", DAILY)
        assert (rule.version, rule.limit) == (1, Decimal(100))
        with pytest.raises(Invalid) as raised:
            await client.put_rule("daily", DAILY | {"limit": "1,5"})
        assert raised.value.errors[0]["path"] == "body.limit"
        await world.use("acme", 150)

        async def denied() -> bool:
            return (await client.decision("acme")).state == "deny"

        await eventually(denied, timeout=15)
        found = await client.decision("acme")
        assert (found.rule, found.usage, found.limit) == ("daily", Decimal(150), Decimal(100))
        assert [one.tenant for one in (await client.decisions()).items] == ["acme"]
        await client.delete_rule("daily")
        with pytest.raises(NotFound):
            await client.rule("daily")


async def test_the_gate_holds_while_the_throttler_is_away_and_catches_up(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    world.clock.now = datetime.now(UTC)
    await world.meter()
    process = await service_process("tollgate-throttler", environment=environment(world)).start()
    async with (
        httpx.AsyncClient(base_url=process.url) as http,
        AsyncClient(throttler=process.url, patience=Patience(total_seconds=0)) as client,
    ):
        gate = Gate(client, pause_max_seconds=0.2)
        gate.start()
        assert await gate.ready(10)
        assert gate.check("acme").allowed
        await put(http, "daily")
        await world.use("acme", 100)
        await eventually(lambda: not gate.check("acme").allowed, timeout=15)
        assert gate.check("acme").status == 402

        await process.kill()
        assert not gate.check("acme").allowed
        await world.use("globex", 100)
        await process.start()
        await eventually(lambda: not gate.check("globex").allowed, timeout=30)
        assert not gate.check("acme").allowed
        await gate.close()
