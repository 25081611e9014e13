"""The store's statements, on hypertables and on plain tables: the SQL is the same."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from aggregator.cells import instant
from aggregator.compile import compile_meters
from aggregator.fold import Folded, Timed, fold
from aggregator.meters import define
from aggregator.store import backfills, changes, meters, rollups, unreadable, usage
from aggregator.store.usage import Selection
from aggregator.windows import bounds, runs
from common.aggregates import value_of
from common.contracts.events import CloudEvent
from common.contracts.meters import Meter
from common.db import connect
from tests.support.databases import Database

pytestmark = pytest.mark.servers

NOON_MS = 1_795_435_200_000
NOON = instant(NOON_MS)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def connection(schema: Database) -> AsyncIterator[asyncpg.Connection]:
    """As the service's own role, which owns nothing."""
    found = await connect(schema.service_url)
    await rollups.prepare(found)
    yield found
    await found.close()


def a_meter(aggregation: str, **changes: Any) -> Meter:
    return define(
        **{
            "slug": aggregation,
            "event_type": "request",
            "aggregation": aggregation,
            "value": None if aggregation == "count" else "value",
            "group_by": {"route": "route"},
            "unit": "",
        }
        | changes
    )


def timed(value: Any, *, tenant: str = "acme", at_ms: int = NOON_MS, route: str = "/a") -> Timed:
    data = {"value": value, "route": route}
    return Timed(CloudEvent("edge", "1", "request", tenant, None, data), at_ms, 7, 3)


async def write(
    connection: asyncpg.Connection, made: list[Meter], events: list[Timed], **place: int
) -> Folded:
    """One step of a shard."""
    plan = compile_meters(made)
    compiled = {one.meter.slug: one for many in plan.values() for one in many}
    folded = fold(plan, events)
    async with connection.transaction():
        for number, meter in enumerate(made, 1):
            revised = Meter(**{**_fields(meter), "revision": number})
            await meters.put(connection, revised)
        ids = await rollups.series_ids(connection, folded.series, compiled)
        await rollups.write(connection, series=folded.series, ids=ids, **place)
        await unreadable.note(connection, place["shard"], folded.unreadable, compiled)
    return folded


async def fold_days(connection: asyncpg.Connection, folded: Folded, **place: int) -> None:
    """What the worker does after a step whose hours are new to it."""
    newest: dict[int, datetime] = {}
    for key, slots in folded.series.items():
        [id_] = (await rollups.series_ids(connection, [key], {})).values()
        newest[id_] = instant(max(slot - slot % HOUR_MS for slot in slots))
    await rollups.fold_days(connection, begun=newest.items(), **place)


async def read(
    connection: asyncpg.Connection, slug: str, start: datetime, end: datetime, **choice: Any
) -> dict[tuple[str, ...], Decimal | None]:
    """(tenant, *group) to value, in one window."""
    edges = bounds("none", start, end, ZoneInfo("UTC"))
    selection = Selection(
        slug, choice.get("tenants"), choice.get("group", []), choice.get("filters", {})
    )
    if slug == "unique_count":
        counts = await usage.distinct_members(connection, selection, edges, None, 1000)
        return {(place.tenant, *place.group): Decimal(count) for place, count in counts}
    rows = await usage.aggregates(connection, selection, edges, runs(edges), None, 1000)
    return {(place.tenant, *place.group): value_of(slug, value) for place, value in rows}


async def test_the_tables_are_what_the_server_allows(
    schema: Database, request: pytest.FixtureRequest
) -> None:
    owner = await connect(schema.owner_url)
    try:
        loaded = await owner.fetchval("SELECT current_setting('shared_preload_libraries')")
        extensions = await owner.fetch("SELECT extname FROM pg_extension")
        wanted = "timescaledb" in loaded and "plain" not in request.node.name
        assert ("timescaledb" in {row[0] for row in extensions}) == wanted
        if wanted:
            tables = await owner.fetch(
                "SELECT hypertable_name FROM timescaledb_information.hypertables"
            )
            assert {row[0] for row in tables} == {"slots", "hours", "days", "members"}
    finally:
        await owner.close()


async def test_steps_add_up_over_shards_tables_and_groups(connection: asyncpg.Connection) -> None:
    made = [a_meter(one) for one in ("sum", "min", "max", "avg", "latest", "count")]
    await write(connection, made, [timed(2), timed(Decimal("0.5"))], shard=0, version=1)
    await write(connection, made, [timed(4, at_ms=NOON_MS + 3)], shard=0, version=2)
    await write(
        connection, made, [timed(9, route="/b", at_ms=NOON_MS + DAY_MS)], shard=1, version=1
    )
    expected = {
        "sum": "15.5",
        "min": "0.5",
        "max": "9",
        "avg": "3.875",
        "latest": "9",
        "count": "4",
    }
    for start, end in [
        (NOON, NOON + timedelta(days=2)),
        (NOON - timedelta(days=1), NOON + timedelta(days=3, seconds=10)),
    ]:
        for slug, value in expected.items():
            found = await read(connection, slug, start, end)
            assert found == {("acme",): Decimal(value)}, slug
    grouped = await read(connection, "sum", NOON, NOON + timedelta(days=2), group=["route"])
    assert grouped == {("acme", "/a"): Decimal("6.5"), ("acme", "/b"): Decimal(9)}
    one = await read(
        connection, "sum", NOON, NOON + timedelta(days=2), filters={"route": "/b"}, tenants=["acme"]
    )
    assert one == {("acme",): Decimal(9)}
    assert await read(connection, "sum", NOON, NOON + timedelta(days=2), tenants=["x"]) == {}


@pytest.mark.parametrize("aggregation", ["sum", "min", "max", "latest", "count"])
async def test_days_say_what_their_hours_say(
    connection: asyncpg.Connection, aggregation: str
) -> None:
    random = Random(aggregation)
    made = [a_meter(aggregation)]
    for version in range(1, 25):
        events = [
            timed(
                random.randint(-9, 9),
                at_ms=NOON_MS + (version // 2 - random.choice((0, 0, 0, 5))) * HOUR_MS,
                route=random.choice("ab"),
            )
            for _ in range(3)
        ]
        place = {"shard": version % 2, "version": version}
        folded = await write(connection, made, events, **place)
        if random.random() < 0.7:
            await fold_days(connection, folded, **place)
        day = NOON.replace(hour=0)
        by_day = await read(connection, aggregation, day, day + timedelta(days=2), group=["route"])
        by_hour = await connection.fetch(
            """
            SELECT 'acme', series.dimensions ->> 'route', sum(count) AS count, sum(sum) AS sum,
                   min(min) AS min, max(max) AS max,
                   (array_agg(latest ORDER BY latest_at DESC, latest DESC))[1] AS latest
            FROM aggregator.hours JOIN aggregator.series ON id = series
            GROUP BY 2
            """
        )
        assert by_day == {(row[0], row[1]): row[aggregation] for row in by_hour}
    folded_hours, days = await connection.fetchrow(
        """
        SELECT (SELECT sum(count) FROM aggregator.hours WHERE folded),
               (SELECT sum(count) FROM aggregator.days)
        """
    )
    assert folded_hours == days > 30


async def test_windows_are_half_open(connection: asyncpg.Connection) -> None:
    events = [timed(1, at_ms=NOON_MS + 10_000 * slot) for slot in range(3)]
    await write(connection, [a_meter("sum")], events, shard=0, version=1)
    slot = timedelta(seconds=10)
    assert await read(connection, "sum", NOON, NOON + slot) == {("acme",): Decimal(1)}
    assert await read(connection, "sum", NOON + slot, NOON + 3 * slot) == {("acme",): Decimal(2)}
    assert await read(connection, "sum", NOON - slot, NOON) == {}


async def test_members_are_distinct_over_the_window(connection: asyncpg.Connection) -> None:
    made = [a_meter("unique_count")]
    events = [
        timed(f"u{n % 5}", at_ms=NOON_MS + n * 3_600_000, route=f"/{n % 2}") for n in range(30)
    ]
    await write(connection, made, events, shard=0, version=1)
    await write(connection, made, events, shard=1, version=1)
    found = await read(connection, "unique_count", NOON, NOON + timedelta(days=2))
    assert found == {("acme",): Decimal(5)}


async def test_changes_since_a_version_are_read_once(connection: asyncpg.Connection) -> None:
    made = [a_meter("sum"), a_meter("unique_count")]
    await write(connection, made, [timed(1), timed(2, at_ms=NOON_MS + 10_000)], shard=2, version=5)
    await write(connection, made, [timed(3)], shard=2, version=8)
    await write(connection, made, [timed(9)], shard=1, version=8)

    found = [one async for page in changes.changed_rollups(connection, 2, 5) for one in page]
    by_meter = {one.meter: one for one in found}
    assert by_meter["sum"].value.sum == Decimal(6)
    assert by_meter["sum"].version == 8
    assert [(slot.start, slot.value.sum) for slot in by_meter["sum"].slots] == [(NOON, Decimal(4))]
    assert [len(slot.members) for slot in by_meter["unique_count"].slots] == [1]
    assert [one async for page in changes.changed_rollups(connection, 2, 8) for one in page] == []
    everything = [one async for page in changes.changed_rollups(connection, 2, 0) for one in page]
    assert sorted(len(one.slots) for one in everything) == [2, 2]


async def test_changes_come_in_pages(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PAGE_ROWS", 3)
    events = [timed(1, tenant=f"t{n}") for n in range(10)]
    await write(connection, [a_meter("sum")], events, shard=0, version=1)
    pages = [page async for page in changes.changed_rollups(connection, 0, 0)]
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert {one.tenant for page in pages for one in page} == {f"t{n}" for n in range(10)}


async def test_what_has_been_published_is_off_the_list(connection: asyncpg.Connection) -> None:
    listed = "SELECT version FROM aggregator.unpublished WHERE shard = 0"
    await rollups.shard_versions(connection, 0)
    for version in (1, 2):
        await write(connection, [a_meter("sum")], [timed(1)], shard=0, version=version)
    await rollups.set_shard_versions(connection, 0, 2, 1)
    assert [row["version"] for row in await connection.fetch(listed)] == [2]
    await rollups.set_shard_versions(connection, 0, 2, 2)
    assert await connection.fetch(listed) == []


async def test_changes_of_a_release_that_kept_no_list_are_found(
    connection: asyncpg.Connection,
) -> None:
    await rollups.shard_versions(connection, 0)
    await write(connection, [a_meter("sum")], [timed(1)], shard=0, version=1)
    await write(connection, [a_meter("sum")], [timed(1, tenant="zeta")], shard=0, version=2)
    await rollups.set_shard_versions(connection, 0, 2, 0)
    await connection.execute("DELETE FROM aggregator.unpublished")
    for after, tenants in ((0, {"acme", "zeta"}), (1, {"zeta"}), (2, set())):
        pages = [page async for page in changes.changed_rollups(connection, 0, after)]
        assert {one.tenant for page in pages for one in page} == tenants


async def test_sums_are_exact_beyond_eight_bytes(connection: asyncpg.Connection) -> None:
    most = 10**20 - 1
    events = [timed(most), timed(most), timed(2**63 - 1), timed(Decimal("0.000000000000000001"))]
    for version, event in enumerate(events, 1):
        await write(connection, [a_meter("sum")], [event], shard=0, version=version)
    found = await read(connection, "sum", NOON, NOON + timedelta(days=1))
    assert found == {("acme",): Decimal("209223372036854775805.000000000000000001")}


async def test_unreadable_events_are_listed_with_what_was_found(
    connection: asyncpg.Connection,
) -> None:
    events = [timed("NaN\0\ud800"), timed(None), timed({"deep": [1]}), timed(10**400)]
    await write(connection, [a_meter("sum")], events, shard=0, version=1)
    rows = await unreadable.listed(connection, "sum", None, 10)
    assert [row["reason"] for row in rows] == [
        "out_of_range",
        "not_a_number",
        "missing",
        "not_a_number",
    ]
    assert rows[1]["found"] == '{"deep":[1]}'
    assert [row["id"] for row in await unreadable.listed(connection, "sum", rows[1]["id"], 10)] == [
        rows[2]["id"],
        rows[3]["id"],
    ]
    await unreadable.forget(connection, datetime.now(UTC) + timedelta(days=1))
    assert await unreadable.listed(connection, "sum", None, 10) == []


async def test_a_backfill_moves_by_compare_and_set(connection: asyncpg.Connection) -> None:
    await write(connection, [a_meter("sum"), a_meter("count")], [], shard=0, version=1)
    assert await backfills.begin(connection, 0, ["sum", "count"], 100)
    assert not await backfills.begin(connection, 0, ["sum", "count"], 200)
    opened = await backfills.open_backfill(connection, 0)
    assert opened is not None
    assert (opened.from_offset, opened.position) == (100, 0)
    assert [meter.slug for meter in opened.meters] == ["count", "sum"]
    assert await backfills.move(connection, opened, 60, {1: 5}, False)
    assert not await backfills.move(connection, opened, 70, {1: 6}, False)
    assert await backfills.left(connection, "sum") == (1, 40)
    moved = await backfills.open_backfill(connection, 0)
    assert moved is not None
    assert moved.seen == {1: 5}
    assert await backfills.move(connection, moved, 100, {1: 9}, True)
    assert await backfills.open_backfill(connection, 0) is None


async def test_the_service_role_may_forget_old_slots(connection: asyncpg.Connection) -> None:
    events = [timed(1), timed(1, at_ms=NOON_MS + 40 * DAY_MS)]
    await write(connection, [a_meter("sum")], events, shard=0, version=1)
    await unreadable.forget_slots(connection, NOON + timedelta(days=20))
    left = await connection.fetchval("SELECT count(*) FROM aggregator.slots")
    assert left == 1
    found = await read(connection, "sum", NOON.replace(hour=0), NOON + timedelta(days=60, hours=12))
    assert found == {("acme",): Decimal(2)}


def _fields(meter: Meter) -> dict[str, Any]:
    return {name: getattr(meter, name) for name in meter.__struct_fields__}
