"""What a transaction sees of the groups it has locked: memory, the table, and its own blocks."""

import secrets
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ingest import metrics
from ingest.packed.blocks import INDEX_BITS, Block, Indices, join, pack, unpack
from ingest.packed.judge import Found
from ingest.packed.memory import Day, GroupMemory, Memory
from ingest.store import ledger_blocks as store
from ingest.store import plain_ledger as plain
from ingest.store.ledger_blocks import Address, Group, Written

_LATER_MAX: Final = 2_000
"""Blocks of others that are caught up on; after more, the days are loaded again instead."""
_FETCH_BLOCKS: Final = 64


class View:
    """Made by `open_view`. Memory never learns of this transaction's blocks but as pending."""

    def __init__(self, tx: Any, memory: Memory, plain_days: range) -> None:
        self._tx, self._memory, self._plain_days = tx, memory, plain_days
        self._groups: dict[int, Group] = {}
        self._own: dict[tuple[int, int], list[Block]] = {}
        self._parts: dict[int, int] = {}
        self._new: dict[tuple[int, int], list[Block]] = {}

    async def find(self, grp: int, day: int, wanted: Block) -> Found:
        """What the ledger holds on `day` of the identities of `wanted`, in any order."""
        found = Found.nothing(wanted.ids)
        for block in self._own.get((grp, day), ()):
            found.fill(wanted, np.flatnonzero(~found.held), block)
        await self._find_in_blocks(grp, day, wanted, found)
        if day in self._plain_days:
            await self._find_in_plain_rows(day, wanted, found)
        return found

    def add(self, grp: int, day: int, block: Block) -> None:
        """Remember the rows of a sorted block; `write` stores them."""
        if block.ids:
            self._own.setdefault((grp, day), []).append(block)
            self._new.setdefault((grp, day), []).append(block)

    async def write(self) -> None:
        """Store what was added, one block a group and day."""
        written: list[Written] = []
        tokens = {grp: secrets.randbits(63) for grp, _ in self._new}
        pending: dict[int, dict[Address, tuple[int, Block]]] = {}
        for (grp, day), blocks in self._new.items():
            group = self._groups[grp]
            part = self._parts[grp] = self._parts.get(grp, -1) + 1
            if group.is_mine:
                address = Address(grp, group.number, part, group.token)
            else:
                address = Address(grp, group.number + 1, part, tokens[grp])
            block = join(blocks)
            pending.setdefault(grp, {})[address] = (day, block)
            written.append(Written(address, day, pack(block)))
        if not written:
            return
        await store.write(self._tx, written)
        for grp, blocks_of in pending.items():
            self._memory.group(grp).hold(self._groups[grp], blocks_of)

    async def lock(self, groups: Sequence[int]) -> None:
        """Lock the groups, and bring what is remembered of them up to what they hold now."""
        for group in await store.lock(self._tx, groups):
            self._groups[group.grp] = group
            memory = self._memory.group(group.grp)
            if group.is_mine:
                await self._see_own(group, memory)
                continue
            while not memory.settle(group):
                await self._catch_up(group, memory)
            for address, (_, block) in memory.take_settled(group).items():
                self._memory.cache.put(address, block)

    async def _see_own(self, group: Group, memory: GroupMemory) -> None:
        """This transaction has written in the group: its blocks are seen here, and only here."""
        if memory.number != group.number - 1:
            memory.restart(group.number - 1, None)
        for day, part, columns in await store.own(self._tx, group):
            self._own.setdefault((group.grp, day), []).append(unpack(*columns))
            self._parts[group.grp] = max(part, self._parts.get(group.grp, -1))

    async def _catch_up(self, group: Group, memory: GroupMemory) -> None:
        """Read the blocks that others wrote. Does nothing if the memory moved meanwhile, which
        only happens when the lock was lost."""
        state, pending = memory.state, memory.pending
        if group.number - memory.number > _LATER_MAX:
            memory.restart(group.number, group.token)
            return
        later = await store.later(
            self._tx,
            group.grp,
            since=memory.number,
            number=group.number,
            days=list(memory.days),
            known=[pending.token] if pending else [],
        )
        if memory.state == state:
            memory.follow(group, later, pending.blocks if pending else {})

    async def _find_in_blocks(self, grp: int, day: int, wanted: Block, found: Found) -> None:
        held = await self._day(grp, day)
        rows, names = held.keys.candidates(wanted.high)
        if not rows.size:
            return
        order = np.argsort(names, kind="stable")
        rows, names = rows[order], names[order]
        bounds = np.flatnonzero(np.diff(names, prepend=-1))
        of_block: dict[int, Indices] = dict(
            zip(names[bounds].tolist(), np.split(rows, bounds[1:]), strict=True)
        )
        confirmed = 0
        chosen = [name for name in of_block if held.addresses[name] is not None]
        for at in range(0, len(chosen), _FETCH_BLOCKS):
            some = chosen[at : at + _FETCH_BLOCKS]
            blocks = await self._blocks([held.addresses[name] for name in some])
            for name, block in zip(some, blocks, strict=True):
                if block is None:
                    held.addresses[name] = None
                else:
                    confirmed += found.fill(wanted, of_block[name], block)
        metrics.LEDGER_LOOKUPS.labels("confirmed").inc(confirmed)
        metrics.LEDGER_LOOKUPS.labels("refuted").inc(rows.size - confirmed)

    async def _blocks(self, addresses: Sequence[Address | None]) -> list[Block | None]:
        """The blocks, from the cache or the table; None for one that has gone."""
        cache = self._memory.cache
        found = {address: cache.get(address) for address in addresses if address is not None}
        missing = [address for address, block in found.items() if block is None]
        if missing:
            for address, columns in await store.fetch(self._tx, missing):
                found[address] = block = unpack(*columns)
                cache.put(address, block)
        return [found[address] if address is not None else None for address in addresses]

    async def _find_in_plain_rows(self, day: int, wanted: Block, found: Found) -> None:
        rows = np.flatnonzero(~found.held)
        if not rows.size:
            return
        hashes = pack(wanted.take(rows)).hashes
        identities = [hashes[at : at + 16] for at in range(0, len(hashes), 16)]
        for n, partition, offset, number, digest in await plain.holds(self._tx, day, identities):
            row = rows[n]
            found.held[row] = True
            found.offsets[row] = offset
            found.places[row] = (partition << INDEX_BITS) | number
            found.digests[row] = int.from_bytes(digest, "little")

    async def _day(self, grp: int, day: int) -> Day:
        """The fingerprints of a day; they are loaded when nobody has asked for a while."""
        memory, group = self._memory.group(grp), self._groups[grp]
        held = memory.days.get(day)
        if held is not None:
            return self._memory.touch(held)
        state = memory.state
        held = self._memory.new_day()
        through = group.number - 1 if group.is_mine else group.number
        above = -1
        while blocks := await store.of_day(self._tx, grp, day, above=above, through=through):
            held.add_many(blocks)
            above = blocks[-1][0].number
        if memory.state == state:
            memory.days.setdefault(day, held)
        return held


async def open_view(tx: Any, memory: Memory, groups: Sequence[int], plain_days: range) -> View:
    """A view of `groups`, which are locked until `tx` ends."""
    view = View(tx, memory, plain_days)
    await view.lock(groups)
    return view
