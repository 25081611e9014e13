"""The centre comes back: new usage leaves at once, the backlog follows, and no claim is untrue."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from collector.lanes import BEHIND_EVENTS, FRESH_EVENTS
from collector.seals import Seals
from collector.shipper import Shipper
from collector.spool import store
from collector.spool.writer import Change, Spool
from common.service import background
from tests.integration.collector.centre import Centre, running_centre
from tests.support.eventually import eventually
from tests.unit.collector.support import accept, open_spool

BACKLOG = 3 * BEHIND_EVENTS


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre() as centre:
        yield centre


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = open_spool(tmp_path)
    yield spool
    spool.close()


class Node:
    """What the shipper needs of a collector, and usage that names the moment it was seen at."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.seals = Seals(tailing=False, margin_ms=0)
        self.fresh: list[str] = []
        self._number = 0

    async def see(self, count: int) -> list[str]:
        now_ms = time.time_ns() // 1_000_000
        token = self.seals.arrived(now_ms)
        names = [str(self._number + number) for number in range(count)]
        self._number += count
        events = [b'{"id":"%b","seen":%d}' % (name.encode(), now_ms) for name in names]
        await asyncio.wrap_future(self.spool.submit(Change(events=events)))
        self.seals.settled(token)
        return names

    async def see_now_and_then(self) -> None:
        while True:
            self.fresh += await self.see(3)
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def shipping(self, url: str) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=url) as client:
            shipper = Shipper(
                self.spool, self.seals, client, linger_seconds=0.02, backoff_seconds_max=0.1
            )
            async with background(shipper):
                yield


def arrived_before_the_backlog(centre: Centre, names: list[str]) -> int:
    """How many of `names` the centre had when it did not have all of the backlog yet."""
    order = [event["id"] for batch in centre.batches for event in batch["events"]]
    end = order.index(str(BACKLOG - FRESH_EVENTS - 1))
    return len(set(names) & set(order[:end]))


def assert_claims_are_true(centre: Centre) -> None:
    """When a batch claims a time, all that was seen before then is in it or an earlier one."""
    taken: set[int] = set()
    seen = sorted((event["seen"], seq) for (_, seq), event in centre.taken.items())
    for batch in centre.batches:
        taken.update(range(batch["first_seq"], batch["first_seq"] + len(batch["events"])))
        claim = datetime.fromisoformat(batch["sealed_through"]).timestamp() * 1000
        missing = [seq for moment, seq in seen if moment < claim and seq not in taken]
        assert not missing, f"{batch['sealed_through']} is claimed without {missing[:3]}"


async def test_new_usage_does_not_wait_behind_a_backlog(centre: Centre, spool: Spool) -> None:
    centre.answers = ["take"] * 2 + ["503"] * 10_000
    node = Node(spool)
    await node.see(BACKLOG)
    async with node.shipping(centre.url):
        app = asyncio.create_task(node.see_now_and_then())
        await eventually(lambda: spool.state.backlog > 0 and len(node.fresh) > 10)
        centre.answers.clear()
        await eventually(lambda: spool.state.identity.acked_seq >= BACKLOG, timeout=60)
        app.cancel()
        await asyncio.wait([app])
        await eventually(lambda: spool.state.unsent == 0)
    assert arrived_before_the_backlog(centre, node.fresh) > 0
    assert sorted(seq for _, seq in centre.taken) == list(range(1, spool.state.identity.next_seq))
    assert centre.conflicts == []
    assert_claims_are_true(centre)
    assert centre.batches[-1]["sealed_through"] > centre.batches[0]["sealed_through"]


async def test_what_was_sent_does_not_stay_in_memory(centre: Centre, spool: Spool) -> None:
    """Without help from the collector of cycles, which looks only after 200,000 objects."""
    node = Node(spool)
    await node.see(BACKLOG)
    gc.disable()
    try:
        async with node.shipping(centre.url):
            await eventually(lambda: spool.state.unsent == 0, timeout=60)
            kept = [one for one in gc.get_objects() if was_sent(one, centre.url)]
    finally:
        gc.enable()
    assert len(centre.batches) > 10
    assert len(kept) < 2  # a heartbeat may be on its way


def was_sent(one: object, url: str) -> bool:
    """Whether it is a request to that address, which holds its body."""
    return isinstance(one, httpx.Request) and str(one.url).startswith(url)


async def test_a_restart_and_lost_answers_in_the_middle(
    centre: Centre, spool: Spool, tmp_path: Path
) -> None:
    centre.answers = ["take", "take-and-lose", "503"] * 2 + ["503"] * 1_000
    node = Node(spool)
    await node.see(BACKLOG)
    app = asyncio.create_task(node.see_now_and_then())
    async with node.shipping(centre.url):
        await eventually(lambda: len(centre.answers) < 990 and spool.state.backlog > 0)
    app.cancel()
    await asyncio.wait([app])
    assert spool.state.backlog > 0
    spool.close()
    again = open_spool(tmp_path)
    assert again.state.backlog > 0
    successor = Node(again)
    successor._number = node._number
    centre.answers = ["take", "take-and-lose"] * 5
    async with successor.shipping(centre.url):
        await successor.see(10)
        await eventually(lambda: again.state.unsent == 0, timeout=60)
    assert sorted(seq for _, seq in centre.taken) == list(range(1, again.state.identity.next_seq))
    assert centre.conflicts == []
    assert_claims_are_true(centre)
    again.close()


async def test_a_spool_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    accept(spool, b'{"id":"a"}')
    epoch = spool.state.identity.epoch
    spool.close()
    with store.sqlite3.connect(tmp_path / "spool.sqlite") as connection:
        connection.execute("ALTER TABLE spool DROP COLUMN ahead")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    again = open_spool(tmp_path)
    assert again.state.identity.epoch == epoch
    assert again.state.unsent == 1
    assert again.state.identity.ahead == ()
    again.close()
