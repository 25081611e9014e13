"""`ingest.store.accounting`: {partition: tally}, read in one snapshot with the positions."""

from typing import Any

import msgspec

from common.contracts.topics import RECEIVED
from ingest.dedupe import Tally
from ingest.store.accounting import PartitionAccount

_ACCOUNTING = "ingest.accounting"


async def add(tx: Any, partition: int, tally: Tally) -> None:
    await tx.statement("accounting: add")
    known = tx.read(_ACCOUNTING, partition, Tally())
    pairs = zip(msgspec.structs.astuple(known), msgspec.structs.astuple(tally), strict=True)
    total = Tally(*[one + other for one, other in pairs])
    if total.received != total.counted + total.duplicates + total.parked:
        raise ValueError(f"the accounting does not add up: {total}")
    tx.write(_ACCOUNTING, partition, total)


async def accounts(connection: Any) -> list[PartitionAccount]:
    await connection.statement("accounting: accounts")
    return [
        PartitionAccount(
            at.partition, at.next_offset, connection.read(_ACCOUNTING, at.partition, Tally())
        )
        for at in connection.positions(RECEIVED.name)
    ]
