"""`aggregator.store.backfills`: {id: [backfill, done]} and {(meter, shard): backfill id}."""

from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.store.backfills import Backfill
from tests.simulation.models.meters import METERS

_BACKFILLS, _STARTS = "aggregator.backfills", "aggregator.meter_starts"


async def begin(tx: Any, shard: int, slugs: Sequence[str], from_offset: int) -> bool:
    await tx.statement("backfills: begin")
    fresh = [slug for slug in slugs if tx.read(_STARTS, (slug, shard)) is None]
    if not fresh:
        return False
    backfill = tx.next_value(_BACKFILLS)
    tx.write(_BACKFILLS, backfill, (Backfill(backfill, shard, from_offset, 0, {}, []), False))
    for slug in fresh:
        tx.write(_STARTS, (slug, shard), backfill)
    return True


async def open_backfill(connection: Any, shard: int) -> Backfill | None:
    await connection.statement("backfills: open")
    waiting = [
        backfill
        for _, (backfill, done) in sorted(connection.scan(_BACKFILLS))
        if backfill.shard == shard and not done
    ]
    if not waiting:
        return None
    first: Backfill = waiting[0]
    slugs = {slug for (slug, _), of in connection.scan(_STARTS) if of == first.id}
    known = sorted(connection.scan(METERS))
    return first._replace(meters=[meter for slug, meter in known if slug in slugs])


async def move(
    tx: Any, backfill: Backfill, position: int, seen: Mapping[int, int], done: bool
) -> bool:
    await tx.statement("backfills: move")
    await tx.lock(_BACKFILLS, backfill.id)
    known, was_done = tx.read(_BACKFILLS, backfill.id)
    if known.position != backfill.position or was_done:
        return False
    moved = known._replace(position=position, seen=dict(seen))
    tx.write(_BACKFILLS, backfill.id, (moved, done))
    return True
