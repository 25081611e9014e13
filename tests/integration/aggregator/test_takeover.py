"""Workers that die: another takes over, and every event still counts once."""

import signal
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from common.contracts.rollups import Rollup
from tests.integration.aggregator.world import Api, World, event
from tests.support.eventually import eventually
from tests.support.processes import ServiceProcess

pytestmark = pytest.mark.servers


async def test_sums_are_exact_over_kills(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    """Two workers; one after the other is killed while events come in and are emitted again."""
    environment = world.environment()
    workers = [
        service_process("tollgate-aggregator", "worker", environment=environment, name=name)
        for name in ("one", "two")
    ]
    reader = service_process("tollgate-aggregator", "api", environment=environment)
    for process in (*workers, reader):
        await process.start()
    expected: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=reader.url, timeout=30) as http:
        api = Api(http)
        await api.define("requests")
        await api.define("users", aggregation="unique_count", value="user", unit="users")
        for batch in range(60):
            events = [event(100 * batch + n, tenant=f"t{n % 9}", user=n % 18) for n in range(100)]
            records = await world.send(*events)
            expected.update(one["subject"] for one in events)
            if batch % 4 == 0:
                await world.bus.append("usage.events", records)
            if batch % 15 == 7:
                victim = workers[(batch // 15) % 2]
                await victim.kill()
                await victim.start(ready=False)
        wanted = {tenant: str(count) for tenant, count in expected.items()}
        await api.until("requests", wanted, timeout=60)
        await api.until("users", dict.fromkeys(wanted, "2"), timeout=60)
        await _published(world, wanted)


async def test_a_worker_that_slept_past_its_lease_cannot_count_again(
    world: World, service_process: Callable[..., ServiceProcess]
) -> None:
    """SIGSTOP one of two workers in the middle of its work; the other goes on; it wakes up."""
    environment = world.environment()
    sleeper, other = (
        service_process("tollgate-aggregator", name, environment=environment, name=name)
        for name in ("worker", "all")
    )
    for process in (sleeper, other):
        await process.start()
    expected: Counter[str] = Counter()

    async def send(batches: int) -> None:
        for _ in range(batches):
            number = expected.total()
            events = [event(number + n, tenant=f"t{n % 9}") for n in range(50)]
            await world.send(*events)
            expected.update(one["subject"] for one in events)

    def wanted() -> dict[str, str]:
        return {tenant: str(count) for tenant, count in expected.items()}

    async with httpx.AsyncClient(base_url=other.url, timeout=30) as http:
        api = Api(http)
        await api.define("requests")
        await send(10)
        sleeper.send(signal.SIGSTOP)
        await send(10)
        await api.until("requests", wanted(), timeout=60)
        sleeper.send(signal.SIGCONT)
        await send(10)
        await api.until("requests", wanted(), timeout=60)
        await _published(world, wanted())


async def _published(world: World, wanted: dict[str, str]) -> None:
    """A receiver that keeps the highest version of each row ends with the same sums."""

    async def is_so() -> bool:
        newest: dict[tuple[object, ...], Rollup] = {}
        for rollup in await world.rollups():
            if rollup.meter != "requests":
                continue
            row = (rollup.tenant, rollup.hour, rollup.shard)
            if row not in newest or newest[row].version < rollup.version:
                newest[row] = rollup
        sums: Counter[str] = Counter()
        for rollup in newest.values():
            sums[rollup.tenant] += rollup.value.count
        found = {tenant: str(count) for tenant, count in sums.items()}
        assert found == wanted
        return True

    await eventually(is_so, timeout=30)
