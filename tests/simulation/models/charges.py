"""`rating.store.charges`: {id: charge}, and how far each partition has emitted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.contracts.charges import Charge
from common.contracts.topics import partition_for

CHARGES = "rating.charges"
_EMISSIONS = "rating.emissions"


async def known(tx: Any, ids: Sequence[str], subscriptions: Sequence[str]) -> dict[str, Charge]:
    await tx.statement("charges: known")
    wanted, whole = set(ids), set(subscriptions)
    return {
        id: charge
        for id, charge in tx.scan(CHARGES)
        if id in wanted or charge.subscription in whole
    }


async def next_version(tx: Any) -> int:
    await tx.statement("charges: next version")
    version: int = tx.next_value(CHARGES)
    return version


async def write(tx: Any, charges: Sequence[Charge]) -> None:
    await tx.statement("charges: write")
    for charge in charges:
        tx.write(CHARGES, charge.id, charge)


async def close(tx: Any, partition: int, partitions: int, watermark: datetime) -> list[Charge]:
    await tx.statement("charges: close")
    closed = [
        msgspec.structs.replace(charge, closed=True, version=tx.next_value(CHARGES))
        for charge in _of(tx, partition, partitions)
        if not charge.closed and charge.due <= watermark
    ]
    for charge in closed:
        tx.write(CHARGES, charge.id, charge)
    return closed


async def unemitted(
    connection: Any, partition: int, partitions: int, after: int, limit: int
) -> list[Charge]:
    await connection.statement("charges: unemitted")
    waiting = sorted(
        (charge for charge in _of(connection, partition, partitions) if charge.version > after),
        key=lambda charge: charge.version,
    )
    if len(waiting) <= limit:
        return waiting
    last = waiting[limit - 1].version
    return [charge for charge in waiting if charge.version <= last]


async def emitted_version(connection: Any, partition: int) -> int:
    await connection.statement("charges: emitted version")
    version: int = connection.read(_EMISSIONS, partition, 0)
    return version


async def note_emitted(tx: Any, partition: int, version: int) -> None:
    await tx.statement("charges: note emitted")
    tx.write(_EMISSIONS, partition, max(version, tx.read(_EMISSIONS, partition, 0)))


def _of(tx: Any, partition: int, partitions: int) -> list[Charge]:
    return [
        charge
        for _, charge in tx.scan(CHARGES)
        if partition_for(charge.tenant, partitions) == partition
    ]
