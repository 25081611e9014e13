"""Where the first copy of an event is, whichever ledger holds it."""

from typing import Any

from ingest.packed.blocks import unpack_origin
from ingest.store import ledger_blocks, plain_ledger


async def first_copies(
    connection: Any, shard: int, identity: bytes, first_day: int, last_day: int
) -> list[tuple[int, int, int]]:
    """(partition, offset, index) of the first copies of an identity, newest day first. `shard`:
    of its source."""
    found = await plain_ledger.origins(connection, identity, first_day, last_day)
    grp = shard % ledger_blocks.GROUPS
    for day, origin in await ledger_blocks.origins(connection, grp, identity, first_day, last_day):
        found.append((day, *unpack_origin(origin)))
    return [(partition, offset, index) for _, partition, offset, index in sorted(found)[::-1]]
