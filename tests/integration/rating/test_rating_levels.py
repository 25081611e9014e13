"""The integral of a gauge, as the store reads it, compared with a list of reports."""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from common.contracts.rollups import group_key
from common.db import connect
from common.periods import slot_of
from common.usage import Place, UsageProjection
from rating.parts.usage import HeldLevel
from rating.store.levels import LevelKey, held_levels, levels
from tests.integration.rating.test_rating_usage import Event, rollups
from tests.support.databases import Database

pytestmark = pytest.mark.servers
START = datetime(2026, 11, 19, 22, tzinfo=UTC)
HOURS = 30
MILLISECOND = timedelta(milliseconds=1)


def known(events: list[Event]) -> list[Event]:
    """The last report of each slot, group and shard."""
    last: dict[object, Event] = {}
    for event in sorted(events, key=lambda event: (event.at, event.value)):
        last[slot_of(event.at), event.group, event.shard] = event
    return sorted(last.values(), key=lambda event: (event.at, event.value))


def integral(events: list[Event], start: datetime, end: datetime, now: datetime) -> Decimal:
    """Unit-seconds of the reports that are known."""
    reports = known(events)
    inside = [event.at for event in reports if start <= event.at < end]
    until = end if end <= now else max(inside, default=start)
    by_group = defaultdict(list)
    for event in reports:
        if event.at < end:
            by_group[event.group].append(event)
    total = Decimal(0)
    for reported in by_group.values():
        for one, following in pairwise([*reported, None]):
            assert one is not None
            ends = until if following is None else min(following.at, until)
            held = max(0, (ends - max(one.at, start)) // MILLISECOND)
            total += one.value * held
    return total / 1000


def random_reports(chance: random.Random) -> list[Event]:
    return [
        Event(
            at=START + timedelta(milliseconds=chance.randrange(HOURS * 3_600_000)),
            value=Decimal(chance.randrange(-500, 5000)).scaleb(-2),
            member="",
            group=chance.choice(["eu", "us", ""]),
            shard=chance.randrange(3),
        )
        for _ in range(250)
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_any_cut_is_the_integral_of_what_was_reported(
    database: Callable[[str], Database], seed: int
) -> None:
    chance = random.Random(seed)
    events = random_reports(chance)
    # Two levels within a slot, and one level of a group told by two shards at once.
    twin = events[0]
    events.append(twin._replace(at=slot_of(twin.at) + timedelta(seconds=9), value=Decimal(7)))
    events.append(twin._replace(shard=(twin.shard + 1) % 3, value=twin.value + 1))
    projection = UsageProjection("rating", days=True)
    connection = await connect(database("rating").service_url)
    try:
        first, all_of_them = rollups(events[:150], "latest", 1), rollups(events, "latest", 2)
        for batch in (all_of_them[::2], first, all_of_them, first):
            async with connection.transaction():
                await projection.upsert(connection, chance.sample(batch, len(batch)))
        edges = [START + timedelta(seconds=10 * n) for n in range(-360, (HOURS + 2) * 360)]
        now = START + timedelta(hours=20)
        cuts = [tuple(sorted(chance.sample(edges, 2))) for _ in range(60)]
        cuts += [(edges[0], edges[-1]), (edges[0], edges[100]), (edges[-100], edges[-1])]
        places = [("acme", "latest", start, end) for start, end in cuts]
        found = await levels(connection, places, now)
        listed = [
            await all_held(connection, place, one.until)
            for place, one in zip(places, found, strict=True)
        ]
        # A charge that was made earlier has counted less of its period.
        earlier = [slot_of(start + (end - start) / 2) for start, end in cuts]
        until_then = [
            await all_held(connection, place, until)
            for place, until in zip(places, earlier, strict=True)
        ]
        await connection.execute("SET enable_seqscan = off")
        again = await levels(connection, places[::-1], now)
    finally:
        await connection.close()
    assert [one.unit_seconds for one in found] == [integral(events, *cut, now) for cut in cuts]
    assert [one.slots for one in found] == [
        sum(start <= event.at < end for event in known(events)) for start, end in cuts
    ]
    assert again == found[::-1]
    for (start, end), one, held in zip(cuts, found, listed, strict=True):
        assert unit_seconds(held) == one.unit_seconds
        assert all(start <= level.start < level.end <= end for level in held)
        assert all(level.start in (level.reported_at, start) for level in held)
        for before, after in pairwise(held):
            # Within a group one level follows the other: nothing is missing and nothing is twice.
            if before.group == after.group:
                assert before.end == after.start
    for (start, _), until, held in zip(cuts, earlier, until_then, strict=True):
        assert unit_seconds(held) == integral(events, start, until, until)


def unit_seconds(held: list[HeldLevel]) -> Decimal:
    return sum((level.level * level.seconds for level in held), Decimal(0))


async def all_held(connection: Any, place: Place, until: datetime | None) -> list[HeldLevel]:
    """The levels of a place, read in pages of seven."""
    if until is None:
        return []
    found: list[HeldLevel] = []
    after: LevelKey | None = None
    while page := await held_levels(connection, place, until, after, 7):
        found += page
        after = group_key(page[-1].group), page[-1].start
    return found


async def test_a_place_that_nobody_reports_of(database: Callable[[str], Database]) -> None:
    connection = await connect(database("rating").service_url)
    try:
        [one] = await levels(connection, [("acme", "m", START, START + 5 * MILLISECOND)], START)
        assert (one.unit_seconds, one.until, one.slots, one.groups) == (0, None, 0, 0)
        assert await levels(connection, [], START) == []
    finally:
        await connection.close()
