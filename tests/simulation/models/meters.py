"""`aggregator.store.meters`: {slug: meter}, and the revision of the newest change."""

from typing import Any

from common.contracts.meters import Meter

METERS = "aggregator.meters"
_REVISIONS = "aggregator.revisions"


async def meters(connection: Any, after: str = "", limit: int | None = None) -> list[Meter]:
    await connection.statement("meters: all")
    return [meter for slug, meter in sorted(connection.scan(METERS)) if slug > after][:limit]


async def lock(tx: Any) -> int:
    await tx.statement("meters: lock")
    await tx.lock(_REVISIONS, METERS)
    revision: int = tx.read(_REVISIONS, METERS, 0) + 1
    tx.write(_REVISIONS, METERS, revision)
    return revision


async def put(tx: Any, meter: Meter) -> None:
    await tx.statement("meters: put")
    tx.write(METERS, meter.slug, meter)


async def revision(connection: Any) -> int:
    await connection.statement("meters: revision")
    found: int = connection.read(_REVISIONS, METERS, 0)
    return found
