"""The projection of usage against a naive dictionary: any order, repeats, partial hours."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import asyncpg
import pytest

from common.aggregates import combine, merge
from common.contracts.rollups import Aggregate, Rollup, Slot
from common.periods import SLOT
from common.usage import Place, UsageProjection, UsageRow

pytestmark = pytest.mark.servers
START = datetime(2026, 3, 1, 22, tzinfo=UTC)
SECONDS = 4 * 3600
LONG_SECONDS = 52 * 3600
"""With two whole days in the middle."""
AGGREGATIONS = ("count", "sum", "min", "max", "avg", "latest", "unique_count")


@dataclass
class Model:
    """Events as they were, and the rollups an aggregator would have emitted along the way."""

    aggregation: str
    random: Random
    seconds: int = SECONDS
    events: list[tuple[datetime, Decimal, str, str]] = field(default_factory=list)
    rollups: list[Rollup] = field(default_factory=list)

    def run(self) -> None:
        hours: dict[tuple[Any, ...], Aggregate] = {}
        slots: dict[tuple[Any, ...], Aggregate] = {}
        for version in range(1, 30):
            dirty: dict[tuple[Any, ...], dict[datetime, list[str]]] = {}
            for _ in range(self.random.randint(0, 6)):
                at = START + timedelta(seconds=self.random.randrange(self.seconds))
                value = Decimal(self.random.randint(-500, 500)) / 8
                member = f"m{self.random.randint(0, 9)}"
                place = (self.random.choice("ab"), self.random.randint(0, 1))
                self.events.append((at, value, member, place[0]))
                hour = at.replace(minute=0, second=0)
                slot = at.replace(second=at.second - at.second % SLOT.seconds)
                one = Aggregate(
                    count=1, sum=value, min=value, max=value, latest=value, latest_at=at
                )
                hours[*place, hour] = merge(hours.get((*place, hour), Aggregate()), one)
                slots[*place, slot] = merge(slots.get((*place, slot), Aggregate()), one)
                dirty.setdefault((*place, hour), {}).setdefault(slot, []).append(member)
            for (group, shard, hour), changed in dirty.items():
                self.rollups.append(
                    Rollup(
                        tenant="t",
                        meter="m",
                        aggregation=self.aggregation,
                        unit="",
                        group={"g": group},
                        hour=hour,
                        shard=shard,
                        version=version,
                        value=hours[group, shard, hour],
                        slots=[
                            Slot(
                                start=slot,
                                value=slots[group, shard, slot],
                                members=members if self.aggregation == "unique_count" else [],
                            )
                            for slot, members in changed.items()
                        ],
                    )
                )

    def quantity(self, start: datetime, end: datetime, group: str | None = None) -> Decimal:
        inside = [
            event for event in self.events if start <= event[0] < end and group in (None, event[3])
        ]
        if self.aggregation == "unique_count":
            return Decimal(len({member for _, _, member, _ in inside}))
        singles = [
            Aggregate(count=1, sum=v, min=v, max=v, latest=v, latest_at=at)
            for at, v, _, _ in inside
        ]
        return combine(self.aggregation, singles) or Decimal(0)


async def all_rows(projection: UsageProjection, pool: asyncpg.Pool, place: Place) -> list[UsageRow]:
    """The rows behind a place, in pages of five."""
    found: list[UsageRow] = []
    while page := await projection.rows(pool, place, found[-1].key if found else None, 5):
        found += page
    return found


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("days", [False, True])
async def test_it_is_the_dictionary(
    pool: asyncpg.Pool, aggregation: str, seed: int, days: bool
) -> None:
    random = Random(seed)
    seconds = LONG_SECONDS if days else SECONDS
    model = Model(aggregation, random, seconds)
    model.run()
    projection = UsageProjection("kernel", days=days)
    deliveries = model.rollups + random.choices(model.rollups, k=len(model.rollups) // 2)
    random.shuffle(deliveries)
    while deliveries:
        batch = [deliveries.pop() for _ in range(min(len(deliveries), random.randint(1, 9)))]
        async with pool.acquire() as connection, connection.transaction():
            await projection.upsert(connection, batch)

    places = []
    for _ in range(12):
        cuts = sorted(random.randrange(seconds // 10 + 1) for _ in range(2))
        bounds = [START + cut * SLOT for cut in cuts]
        places.append(("t", "m", bounds[0], bounds[1]))
    places += [("t", "m", START, START + timedelta(hours=h)) for h in (0, 1, 2, 3, 4, 26, 50)]
    found = await projection.usages(pool, places)

    by_group = await projection.groups(pool, places)
    for place, usage, groups in zip(places, found, by_group, strict=True):
        assert usage.quantity == model.quantity(place[2], place[3]), place
        rows = await all_rows(projection, pool, place)
        assert len(rows) == usage.rows
        if aggregation != "unique_count":
            values = [row.value for row in rows]
            assert (combine(aggregation, values) or Decimal(0)) == usage.quantity
        assert sum(one.count for one in groups) == sum(row.value.count for row in rows)
        for one in groups:
            assert one.quantity == model.quantity(place[2], place[3], one.group["g"]), place
    assert (await projection.usage(pool, "other", "m", START, START + SLOT)).quantity == 0


async def test_bounds_off_the_slots_are_refused(pool: asyncpg.Pool) -> None:
    with pytest.raises(ValueError, match="slots"):
        await UsageProjection("kernel").usage(pool, "t", "m", START, START + timedelta(seconds=15))


async def test_a_process_from_before_fails_at_a_day(pool: asyncpg.Pool) -> None:
    """It would add hours to days that are added again when they are over."""
    with pytest.raises(asyncpg.UndefinedColumnError):
        await pool.execute("SELECT hours FROM kernel.usage_days")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await pool.execute("INSERT INTO kernel.usage_days (tenant, hours) VALUES ('t', 1)")


async def test_an_hour_of_a_group_that_never_returns_enters_its_day(pool: asyncpg.Pool) -> None:
    projection = UsageProjection("kernel", days=True)
    for number, group in enumerate("abc"):
        hour = START + timedelta(hours=number)
        value = Aggregate(count=1, sum=None, min=None, max=None, latest=None, latest_at=None)
        rollup = Rollup(
            tenant="t",
            meter="m",
            aggregation="count",
            unit="",
            group={"g": group},
            hour=hour,
            shard=0,
            version=1,
            value=value,
            slots=[Slot(start=hour, value=value)],
        )
        async with pool.acquire() as connection, connection.transaction():
            await projection.upsert(connection, [rollup])
    rows = await pool.fetch("SELECT group_key FROM kernel.usage_hours WHERE NOT folded")
    assert [row["group_key"] for row in rows] == ['{"g":"c"}']
    assert await pool.fetchval("SELECT sum(folded_hours) FROM kernel.usage_days") == 2
