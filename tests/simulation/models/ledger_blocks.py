"""`ingest.store.ledger_blocks`: {grp: (number, token)} and {(grp, number, part): block}; the real
packed ledger works on it."""

from collections.abc import Sequence
from typing import Any

from ingest.store.ledger_blocks import Address, Group, Later, Written

_GROUPS, _BLOCKS = "ingest.ledger_groups", "ingest.ledger_blocks"

Columns = tuple[bytes, bytes, bytes]


async def lock(tx: Any, groups: Sequence[int]) -> list[Group]:
    await tx.statement("ledger: lock groups")
    found = []
    for grp in sorted(groups):
        await tx.lock(_GROUPS, grp)
        number, token = tx.read(_GROUPS, grp, (0, 0))
        found.append(Group(grp, number, token, tx.has_written(_GROUPS, grp)))
    return found


async def later(
    tx: Any, grp: int, *, since: int, number: int, days: Sequence[int], known: Sequence[int]
) -> list[Later]:
    await tx.statement("ledger: later blocks")
    found = []
    for block in _of(tx, grp):
        address = block.address
        if since <= address.number <= number:
            wanted = address.number > since and block.sorted_through is None
            wanted = wanted and block.day in days and address.token not in known
            hashes = block.packed.hashes if wanted else None
            found.append(Later(address, block.day, block.sorted_through is not None, hashes))
    return found


async def of_day(
    tx: Any, grp: int, day: int, *, above: int, through: int
) -> list[tuple[Address, bytes]]:
    await tx.statement("ledger: blocks of a day")
    return [
        (block.address, block.packed.hashes)
        for block in _of(tx, grp)
        if block.day == day and above < block.address.number <= through
    ]


async def fetch(tx: Any, addresses: Sequence[Address]) -> list[tuple[Address, Columns]]:
    await tx.statement("ledger: fetch blocks")
    found = (tx.read(_BLOCKS, address[:3]) for address in addresses)
    return [
        (address, _columns(block))
        for address, block in zip(addresses, found, strict=True)
        if block is not None and block.address == address
    ]


async def own(tx: Any, group: Group) -> list[tuple[int, int, Columns]]:
    await tx.statement("ledger: own blocks")
    return [
        (block.day, block.address.part, _columns(block))
        for block in _of(tx, group.grp)
        if block.address.number == group.number
    ]


async def write(tx: Any, blocks: Sequence[Written]) -> None:
    await tx.statement("ledger: write blocks")
    for block in blocks:
        address = block.address
        if tx.read(_BLOCKS, address[:3]) is not None:
            raise ValueError(f"a block was written twice: {address}")
        tx.write(_GROUPS, address.grp, (address.number, address.token))
        tx.write(_BLOCKS, address[:3], block)


async def days(connection: Any) -> range:
    """`ingest.store.plain_ledger.days`: there never was a plain row."""
    await connection.statement("ledger: plain days")
    return range(0)


def _of(tx: Any, grp: int) -> list[Written]:
    """The blocks of a group, by number and part."""
    return [block for key, block in sorted(tx.scan(_BLOCKS), key=_key) if key[0] == grp]


def _key(row: tuple[Any, Any]) -> Any:
    return row[0]


def _columns(block: Written) -> Columns:
    return block.packed.hashes, block.packed.origins, block.packed.digests
