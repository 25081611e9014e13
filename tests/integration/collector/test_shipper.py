"""The shipper against a centre over real HTTP that fails in every way there is."""

import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from collector.seals import Seals
from collector.shipper import Shipper
from collector.spool.writer import Change, Spool
from common.service import background
from tests.integration.collector.centre import Centre, running_centre
from tests.support.eventually import eventually


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre() as centre:
        yield centre


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path, "edge-1", max_bytes=1 << 30)
    yield spool
    spool.close()


@asynccontextmanager
async def shipping(
    spool: Spool, url: str, seals: Seals | None = None, revisions: list[int] | None = None
) -> AsyncIterator[Shipper]:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        shipper = Shipper(
            spool,
            seals or Seals(tailing=False, margin_ms=0),
            client,
            linger_seconds=0.02,
            heartbeat_seconds=0.3,
            backoff_seconds_max=0.3,
            on_revision=(revisions if revisions is not None else []).append,
        )
        async with background(shipper):
            yield shipper


def put(spool: Spool, *ids: str) -> None:
    events = [b'{"id":"%b","source":"app"}' % one.encode() for one in ids]
    spool.submit(Change(events=events)).result()


def ids(centre: Centre) -> list[str]:
    return [event["id"] for event in centre.events]


async def test_events_arrive_in_order_and_leave_the_spool(centre: Centre, spool: Spool) -> None:
    names = [str(number) for number in range(2500)]
    put(spool, *names)
    async with shipping(spool, centre.url) as shipper:
        await eventually(lambda: spool.state.unsent == 0)
        assert shipper.link.reachable
    assert ids(centre) == names
    assert {len(batch["events"]) for batch in centre.batches if batch["events"]} == {1000, 500}
    assert spool.state.identity.acked_seq == 2500


async def test_an_idle_node_is_heard_every_second(centre: Centre, spool: Spool) -> None:
    centre.revision = 7
    revisions: list[int] = []
    async with shipping(spool, centre.url, revisions=revisions):
        await eventually(lambda: len(centre.batches) >= 3)
    seals = [batch["sealed_through"] for batch in centre.batches]
    assert seals == sorted(seals)
    assert seals[0] < seals[-1]
    assert {batch["first_seq"] for batch in centre.batches} == {1}
    assert set(revisions) == {7}


@pytest.mark.parametrize("failure", ["500", "503", "429", "404", "401", "403", "408", "502"])
async def test_what_may_heal_is_tried_again(centre: Centre, spool: Spool, failure: str) -> None:
    centre.answers = [failure] * 3
    put(spool, "a", "b")
    async with shipping(spool, centre.url):
        await eventually(lambda: spool.state.unsent == 0)
    assert ids(centre) == ["a", "b"]
    assert spool.state.parked == 0


async def test_a_lost_answer_is_no_second_count(centre: Centre, spool: Spool) -> None:
    centre.answers = ["take-and-lose", "take-and-lose"]
    put(spool, "a", "b")
    async with shipping(spool, centre.url):
        await eventually(lambda: spool.state.unsent == 0)
    assert len([batch for batch in centre.batches if batch["events"]]) == 3
    assert ids(centre) == ["a", "b"]
    assert centre.conflicts == []


async def test_a_restart_after_a_lost_answer_sends_the_same_sequences(
    centre: Centre, spool: Spool
) -> None:
    put(spool, "a", "b")
    centre.answers = ["take-and-lose", *["503"] * 1000]
    async with shipping(spool, centre.url):
        await eventually(lambda: len(centre.taken) == 2)
    centre.answers = []
    put(spool, "c")
    async with shipping(spool, centre.url):
        await eventually(lambda: spool.state.unsent == 0)
    assert ids(centre) == ["a", "b", "c"]
    assert centre.conflicts == []


async def test_the_centre_away_for_long(spool: Spool) -> None:
    async with running_centre() as centre:
        url = centre.url
    put(spool, *[str(number) for number in range(3000)])
    async with shipping(spool, url) as shipper:
        await eventually(lambda: shipper.link.last_error)
        assert not shipper.link.reachable
        put(spool, "new")
        assert spool.state.unsent == 3001


async def test_an_event_that_cannot_be_taken_is_kept_here(centre: Centre, spool: Spool) -> None:
    names = [str(number) for number in range(50)]
    centre.poison = {"17", "31"}
    put(spool, *names)
    async with shipping(spool, centre.url):
        await eventually(lambda: spool.state.unsent == 0)
    assert ids(centre) == [name for name in names if name not in centre.poison]
    parked = spool.read_parked(0, 10)
    epoch = spool.state.identity.epoch
    assert [(item.origin, item.place) for item in parked] == [
        ("ship", f"{epoch}-18"),
        ("ship", f"{epoch}-32"),
    ]
    assert b'"id":"17"' in parked[0].body


async def test_a_centre_that_refuses_everything_parks_nothing(centre: Centre, spool: Spool) -> None:
    centre.refuse_everything = True
    put(spool, "a", "b")
    async with shipping(spool, centre.url) as shipper:
        await eventually(lambda: "even an empty batch" in (shipper.link.last_error or ""))
        centre.refuse_everything = False
        await eventually(lambda: spool.state.unsent == 0)
    assert spool.state.parked == 0
    assert ids(centre) == ["a", "b"]


async def test_a_spool_from_an_old_copy_ships_nothing_more(centre: Centre, spool: Spool) -> None:
    centre.next_seq_bonus = 100
    put(spool, "a")
    async with shipping(spool, centre.url) as shipper:
        await eventually(lambda: shipper.link.rolled_back)
        put(spool, "b")
    assert spool.state.unsent == 2


async def test_an_event_that_is_shipped_as_soon_as_it_is_on_disk_is_no_old_copy(
    centre: Centre, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer was put to sleep between its commit and its telling of it."""
    put(spool, "a")
    awake = threading.Event()
    publish = spool._publish

    def sleepy(connection: sqlite3.Connection, *, full: bool) -> None:
        awake.wait()
        publish(connection, full=full)

    monkeypatch.setattr(spool, "_publish", sleepy)
    spool.submit(Change(events=[b'{"id":"b","source":"app"}']))
    await eventually(lambda: len(spool.read_events(0, 10, 1000)[1]) == 2)
    async with shipping(spool, centre.url) as shipper:
        await eventually(lambda: len(centre.taken) == 2)
        awake.set()
        await eventually(lambda: spool.state.unsent == 0 and spool.state.identity.next_seq == 3)
        assert not shipper.link.rolled_back


async def test_a_batch_never_claims_what_it_does_not_bring(centre: Centre, spool: Spool) -> None:
    """With 2,500 events waiting, only the last batch may claim the present."""
    seals = Seals(tailing=False, margin_ms=0)
    put(spool, *[str(number) for number in range(2500)])
    before = time.time_ns() // 1_000_000
    async with shipping(spool, centre.url, seals):
        await eventually(lambda: spool.state.unsent == 0)
    full = [batch for batch in centre.batches if len(batch["events"]) == 1000]
    assert {batch["sealed_through"] for batch in full} == {"1970-01-01T00:00:00Z"}
    last = next(batch for batch in centre.batches if len(batch["events"]) == 500)
    assert last["sealed_through"] > time.strftime("%Y-%m-%d", time.gmtime(before / 1000))


async def test_a_stop_does_not_wait_for_a_centre_that_hangs(centre: Centre, spool: Spool) -> None:
    centre.answers = ["hang"]
    put(spool, "a")
    async with httpx.AsyncClient(base_url=centre.url, timeout=1000) as client:
        shipper = Shipper(spool, Seals(tailing=False, margin_ms=0), client)
        async with background(shipper):
            await eventually(lambda: not centre.answers)
            stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < 20
    assert spool.state.unsent == 1
