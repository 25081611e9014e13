"""A database that is put back between a follower's snapshot and the feed's next look at it."""

import asyncio
from typing import Any

import pytest

from throttler import feed as feeds
from throttler.feed import Feed


async def test_a_follower_of_what_is_gone_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is of revision 7; every look of the feed, before and after, says 5."""
    following = asyncio.Event()

    async def revision(pool: Any) -> int:
        return 7 if asyncio.current_task() is follower else 5

    async def nothing(*_: Any) -> list[Any]:
        return []

    async def no_watermark(*_: Any) -> None:
        return None

    monkeypatch.setattr(feeds.store, "decisions_revision", revision)
    monkeypatch.setattr(feeds.store, "decisions_since", nothing)
    monkeypatch.setattr(feeds, "stage_watermark", no_watermark)
    feed = Feed(None, partitions=1, every_seconds=0.001, heartbeat_seconds=0.01)

    async def follow() -> list[tuple[str, int]]:
        await following.wait()
        return [(event.kind, event.revision) async for event in feed.follow(None)]

    follower = asyncio.create_task(follow())
    looking = asyncio.create_task(feed.run())
    following.set()
    events = await asyncio.wait_for(follower, 10)
    looking.cancel()
    assert events[0] == ("snapshot", 7)
    assert {kind for kind, _ in events[1:]} <= {"heartbeat"}


async def test_a_follower_ahead_of_the_feed_is_kept_until_the_feed_has_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look that was under way says 5, all later ones 7: nothing was put back."""
    looks = iter([5, *[7] * 100_000])

    async def revision(pool: Any) -> int:
        return 7 if asyncio.current_task() is follower else next(looks)

    async def seven(pool: Any, since: int, limit: int) -> list[Any]:
        return [] if asyncio.current_task() is follower else [Seven()]

    async def no_watermark(*_: Any) -> None:
        return None

    class Seven:
        revision = 7

    monkeypatch.setattr(feeds.store, "decisions_revision", revision)
    monkeypatch.setattr(feeds.store, "decisions_since", seven)
    monkeypatch.setattr(feeds, "stage_watermark", no_watermark)
    feed = Feed(None, partitions=1, every_seconds=0.001, heartbeat_seconds=0.01)

    async def follow() -> int:
        heartbeats = 0
        async for event in feed.follow(None):
            heartbeats += event.kind == "heartbeat"
            if heartbeats == 5:
                break
        return heartbeats

    follower = asyncio.create_task(follow())
    looking = asyncio.create_task(feed.run())
    assert await asyncio.wait_for(follower, 10) == 5
    looking.cancel()
