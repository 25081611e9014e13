"""Decisions from the throttler to the gate: followed, kept on disk, never rolled back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from collector.decisions.feed import DecisionFeed
from collector.decisions.holder import Decisions
from collector.decisions.store import DecisionStore
from common.service import background
from tests.integration.collector.centre import Centre, decision, running_centre
from tests.support.eventually import eventually


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre() as centre:
        yield centre


def load(directory: Path) -> Decisions:
    return Decisions(DecisionStore(directory / "decisions.sqlite"), silence_seconds=30)


@asynccontextmanager
async def following(decisions: Decisions, url: str) -> AsyncIterator[DecisionFeed]:
    async with httpx.AsyncClient(base_url=url) as client:
        feed = DecisionFeed(decisions, client, silence_seconds=1.0, backoff_seconds_max=0.3)
        async with background(feed):
            yield feed


async def test_a_decision_takes_effect_and_is_lifted(centre: Centre, tmp_path: Path) -> None:
    decisions = load(tmp_path)
    async with following(decisions, centre.url) as feed:
        await eventually(lambda: feed.line.via == "sse")
        assert decisions.check("acme").allowed
        await centre.publish(decision("acme", 1))
        await eventually(lambda: not decisions.check("acme").allowed)
        assert decisions.check("basta").allowed
        assert decisions.held()[0].applied_ns > 0
        await centre.publish(decision("acme", 2, state="allow", status=200))
        await eventually(lambda: decisions.check("acme").allowed)
    assert decisions.revision == 2


async def test_decisions_hold_after_a_restart_with_the_centre_away(
    centre: Centre, tmp_path: Path
) -> None:
    decisions = load(tmp_path)
    await centre.publish(decision("acme", 5), decision("basta", 6, state="allow", status=200))
    async with following(decisions, centre.url):
        await eventually(lambda: decisions.revision == 6)
    again = load(tmp_path)
    assert again.revision == 6
    assert not again.check("acme").allowed
    assert again.check("acme").status == 429
    assert again.check("basta").allowed


async def test_what_a_snapshot_does_not_name_is_lifted(centre: Centre, tmp_path: Path) -> None:
    await centre.publish(decision("acme", 1), decision("basta", 2))
    decisions = load(tmp_path)
    async with following(decisions, centre.url):
        await eventually(lambda: decisions.revision == 2)
    decisions.replace([], 3)
    assert decisions.check("acme").allowed
    assert load(tmp_path).check("acme").allowed


async def test_an_older_snapshot_is_refused(centre: Centre, tmp_path: Path) -> None:
    """A throttler restored from a backup must not lift what a newer one decided."""
    decisions = load(tmp_path)
    await centre.publish(decision("acme", 50))
    async with following(decisions, centre.url):
        await eventually(lambda: decisions.revision == 50)
        centre.snapshot, centre.revision = [], 3
    async with following(decisions, centre.url) as feed:
        await eventually(lambda: feed.line.via == "sse")
    assert decisions.revision == 50
    assert not decisions.check("acme").allowed


async def test_without_event_streams_it_polls(centre: Centre, tmp_path: Path) -> None:
    centre.sse = False
    decisions = load(tmp_path)
    await centre.publish(decision("acme", 1))
    async with following(decisions, centre.url) as feed:
        await eventually(lambda: decisions.revision == 1)
        assert feed.line.via == "poll"
        await centre.publish(decision("acme", 2, status=402))
        await eventually(lambda: decisions.check("acme").status == 402)


async def test_a_revision_named_by_ingest_is_fetched_at_once(
    centre: Centre, tmp_path: Path
) -> None:
    decisions = load(tmp_path)
    async with following(decisions, centre.url) as feed:
        await eventually(lambda: feed.line.via == "sse")
        # The stream has not heard of it: only the answer to a batch has.
        centre.snapshot, centre.revision = [decision("acme", 9)], 9
        feed.wanted(9)
        await eventually(lambda: decisions.revision == 9)
    assert not decisions.check("acme").allowed


async def test_the_throttler_comes_back(tmp_path: Path) -> None:
    decisions = load(tmp_path)
    async with running_centre() as centre:
        url = centre.url
        async with following(decisions, url) as feed:
            await eventually(lambda: feed.line.via == "sse")
            centre.closed = True
            async with centre.news:
                centre.news.notify_all()
            await eventually(lambda: feed.line.via != "sse" or centre.polls > 0)
            centre.closed = False
            await centre.publish(decision("acme", 4))
            await eventually(lambda: decisions.revision == 4)
            await eventually(lambda: feed.line.via == "sse")


async def test_an_action_is_checked_beside_all(tmp_path: Path, centre: Centre) -> None:
    decisions = load(tmp_path)
    await centre.publish(decision("acme", 1, action="export"))
    async with following(decisions, centre.url):
        await eventually(lambda: decisions.revision == 1)
    assert not decisions.check("acme", "export").allowed
    assert decisions.check("acme", "import").allowed
    assert decisions.check("acme").allowed
