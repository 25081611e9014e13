"""`aggregator.store.unreadable`: what a meter could not read, by where it stands."""

from collections.abc import Iterable
from typing import Any

from aggregator.compile import CompiledMeter
from aggregator.fold import Unreadable

TABLE = "aggregator.unreadable"


async def note(
    tx: Any, shard: int, items: Iterable[Unreadable], meters: dict[str, CompiledMeter]
) -> None:
    await tx.statement("unreadable: note")
    for item in items:
        place = (item.meter, shard, item.timed.offset, item.timed.item)
        if tx.read(TABLE, place) is not None:
            raise ValueError(f"noted twice: {place}")
        tx.write(TABLE, place, item.reason.name)
