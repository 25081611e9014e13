"""The projection of usage, compared with a list of events, at random cuts."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest

from common.aggregates import combine
from common.contracts.rollups import Aggregate, Rollup, Slot
from common.db import connect
from common.periods import slot_of
from common.usage import UsageProjection
from tests.support.databases import Database

START = datetime(2026, 11, 20, 22, tzinfo=UTC)
HOURS = 4


class Event(NamedTuple):
    at: datetime
    value: Decimal
    member: str
    group: str
    shard: int


def aggregate(events: list[Event]) -> Aggregate:
    latest = max(events, key=lambda event: (event.at, event.value))
    return Aggregate(
        count=len(events),
        sum=sum((event.value for event in events), Decimal(0)),
        min=min(event.value for event in events),
        max=max(event.value for event in events),
        latest=latest.value,
        latest_at=latest.at,
    )


def rollups(events: list[Event], aggregation: str, version: int) -> list[Rollup]:
    rows: dict[tuple[datetime, str, int], list[Event]] = {}
    for event in events:
        hour = event.at.replace(minute=0, second=0, microsecond=0)
        rows.setdefault((hour, event.group, event.shard), []).append(event)
    made = []
    for (hour, group, shard), inside in rows.items():
        slots: dict[datetime, list[Event]] = {}
        for event in inside:
            slots.setdefault(slot_of(event.at), []).append(event)
        made.append(
            Rollup(
                tenant="acme",
                meter=aggregation,
                aggregation=aggregation,
                unit="",
                group={"region": group},
                hour=hour,
                shard=shard,
                version=version,
                value=aggregate(inside),
                slots=[
                    Slot(
                        start=at,
                        value=aggregate(found),
                        members=sorted({event.member for event in found}),
                    )
                    for at, found in slots.items()
                ],
            )
        )
    return made


def expected(events: list[Event], aggregation: str) -> Decimal:
    if not events:
        return Decimal(0)
    if aggregation == "unique_count":
        return Decimal(len({event.member for event in events}))
    return combine(aggregation, [aggregate(events)]) or Decimal(0)


@pytest.mark.parametrize(
    "aggregation", ["count", "sum", "min", "max", "avg", "latest", "unique_count"]
)
async def test_any_cut_reads_what_lies_inside(
    database: Callable[[str], Database], aggregation: str
) -> None:
    chance = random.Random(aggregation)
    events = [
        Event(
            at=START + timedelta(milliseconds=chance.randrange(HOURS * 3_600_000)),
            value=Decimal(chance.randrange(-500, 5000)).scaleb(-2),
            member=f"m{chance.randrange(40)}",
            group=chance.choice(["eu", "us", ""]),
            shard=chance.randrange(4),
        )
        for _ in range(300)
    ]
    projection = UsageProjection("rating")
    connection = await connect(database("rating").service_url)
    try:
        old = rollups(events[:200], aggregation, version=1)
        new = rollups(events, aggregation, version=2)
        for batch in (new[::2], old, new[1::2], old, new):
            async with connection.transaction():
                await projection.upsert(connection, chance.sample(batch, len(batch)))
        edges = [START + timedelta(seconds=10 * n) for n in range(0, HOURS * 360 + 1)]
        cuts = [tuple(sorted(chance.sample(edges, 2))) for _ in range(60)]
        cuts += [(edges[0], edges[-1]), (edges[360], edges[720]), (edges[5], edges[6])]
        places = [("acme", aggregation, start, end) for start, end in cuts]
        places.append(("nobody", aggregation, edges[0], edges[-1]))
        found = await projection.usages(connection, places)
        for (tenant, _, start, end), usage in zip(places, found, strict=True):
            inside = [e for e in events if tenant == "acme" and start <= e.at < end]
            assert usage.quantity == expected(inside, aggregation), (start, end)
            assert set(usage.versions) >= {event.shard for event in inside}
    finally:
        await connection.close()
