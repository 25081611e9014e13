"""`aggregator.store.rollups` and `.changes`: {(series, bucket ms, shard): (aggregate, version)}."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from aggregator.cells import instant
from aggregator.compile import CompiledMeter
from aggregator.fold import HOUR_MS, Series, SeriesKey, roll_up
from aggregator.store.rollups import Row, Written, identity
from common.aggregates import merge
from common.contracts.rollups import Aggregate, Rollup, Slot
from tests.simulation.models import meters as meter_store

_SHARDS, _SERIES, _BY_ID = "aggregator.shards", "aggregator.series", "aggregator.series.by_id"
_SLOTS, _HOURS = "aggregator.slots", "aggregator.hours"
_MEMBERS, _UNPUBLISHED = "aggregator.members", "aggregator.unpublished"
_PAGE_ROWS = 20


async def prepare(connection: Any) -> None:
    await connection.statement("rollups: prepare")


async def shard_versions(connection: Any, shard: int) -> tuple[int, int]:
    await connection.statement("rollups: shard versions")
    versions: tuple[int, int] = connection.read(_SHARDS, shard, (0, 0))
    return versions


async def set_shard_versions(tx: Any, shard: int, version: int, emitted_version: int) -> None:
    await tx.statement("rollups: forget what was published")
    for key, _ in list(tx.scan(_UNPUBLISHED)):
        if key[0] == shard and key[1] <= emitted_version:
            tx.remove(_UNPUBLISHED, key)
    await tx.statement("rollups: set shard versions")
    tx.write(_SHARDS, shard, (version, emitted_version))


async def series_ids(
    tx: Any, keys: Iterable[SeriesKey], meters: dict[str, CompiledMeter]
) -> dict[SeriesKey, int]:
    await tx.statement("rollups: series")
    found = {}
    for one, key in sorted((identity(key), key) for key in keys):
        if tx.read(_SERIES, one) is None:
            await tx.lock(_SERIES, one)
        series = tx.read(_SERIES, one)
        if series is None:
            series = tx.next_value(_SERIES)
            dimensions = dict(zip(meters[key.meter].names, key.group, strict=True))
            tx.write(_SERIES, one, series)
            tx.write(_BY_ID, series, (key.tenant, key.meter, dimensions))
        found[key] = series
    return found


async def write(
    tx: Any, *, shard: int, version: int, series: Series, ids: dict[SeriesKey, int]
) -> Written:
    await tx.statement("rollups: stage")
    held: dict[str, list[Row]] = {}
    for table, width_ms in ((_SLOTS, 0), (_HOURS, HOUR_MS)):
        await tx.statement(f"rollups: upsert {table}")
        rows = held[table] = []
        for key, slots in series.items():
            cells = roll_up(slots, width_ms) if width_ms else slots
            for start, cell in cells.items():
                place = (ids[key], start, shard)
                known, _ = tx.read(table, place, (Aggregate(), 0))
                value = merge(known, cell.aggregate())
                tx.write(table, place, (value, version))
                rows.append(Row(ids[key], instant(start), value))
    await tx.statement("rollups: list what is to be published")
    if tx.read(_UNPUBLISHED, (shard, version)) is not None:
        raise ValueError(f"version {version} of shard {shard} was given twice")
    places = [(row.series, int(row.bucket.timestamp() * 1000)) for row in held[_HOURS]]
    tx.write(_UNPUBLISHED, (shard, version), places)
    await tx.statement("rollups: members")
    members = []
    for key, slots in series.items():
        for start, cell in slots.items():
            for member in cell.members or ():
                place_of = (ids[key], start, shard, member)
                if tx.read(_MEMBERS, place_of) is None:
                    tx.write(_MEMBERS, place_of, version)
                    members.append((ids[key], instant(start), member))
    counts = {table.removeprefix("aggregator."): len(rows) for table, rows in held.items()}
    return Written(counts, held[_HOURS], held[_SLOTS], members)


async def fold_days(
    tx: Any, *, shard: int, version: int, begun: Iterable[tuple[int, datetime]]
) -> int:
    """Days say what their hours say, and nothing is read from them here: the model keeps none."""
    await tx.statement("rollups: fold days")
    return 0


async def changed_rollups(
    connection: Any, shard: int, after_version: int
) -> AsyncIterator[list[Rollup]]:
    await connection.statement("rollups: changed places")
    changed = sorted(
        {
            place
            for (of, version), places in connection.scan(_UNPUBLISHED)
            if of == shard and version > after_version
            for place in places
        }
    )
    while changed:
        page, changed = changed[:_PAGE_ROWS], changed[_PAGE_ROWS:]
        await connection.statement("rollups: changed hours")
        await connection.statement("rollups: changed slots")
        yield [_rollup(connection, shard, after_version, *place) for place in page]


def _rollup(
    connection: Any,
    shard: int,
    after_version: int,
    series: int,
    hour: int,
) -> Rollup:
    value, version = connection.read(_HOURS, (series, hour, shard))
    tenant, slug, dimensions = connection.read(_BY_ID, series)
    meter = connection.read(meter_store.METERS, slug)
    return Rollup(
        tenant=tenant,
        meter=slug,
        aggregation=meter.aggregation,
        unit=meter.unit,
        group=dimensions,
        hour=instant(hour),
        shard=shard,
        version=version,
        value=value,
        slots=[
            Slot(
                start=instant(place[1]),
                value=slot,
                members=_members(connection, place, after_version),
            )
            for place, slot in _slots(connection, shard, after_version, series, hour)
        ],
    )


def _slots(
    connection: Any, shard: int, after_version: int, series: int, hour: int
) -> list[tuple[tuple[int, int, int], Aggregate]]:
    return sorted(
        (
            (place, value)
            for place, (value, version) in connection.scan(_SLOTS)
            if place[0] == series
            and place[2] == shard
            and hour <= place[1] < hour + HOUR_MS
            and version > after_version
        ),
        key=lambda found: found[0][1],
    )


def _members(connection: Any, place: tuple[int, int, int], after_version: int) -> list[str]:
    return sorted(
        key[3]
        for key, version in connection.scan(_MEMBERS)
        if key[:3] == place and version > after_version
    )
