"""What a process remembers of the blocks: fingerprints of the days in use, and some whole blocks.

All of it was read from the table, or is known to be committed. It may be dropped at any time.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from ingest.packed.blocks import ID_BYTES, Block, Indices, Numbers, split_hashes
from ingest.packed.keys import BLOCKS_MAX, Keys
from ingest.store.ledger_blocks import Address, Group, Later

_ADDRESS_BYTES: Final = 200
"""What it costs to remember a block's address, roughly."""
_ADDED_BLOCKS: Final = 4096
"""Blocks added to a day, beyond as many as it was loaded with, before it is loaded again: most
small ones have been merged by then."""


class Day:
    """The blocks of a group's day: their fingerprints, and their addresses by a small number."""

    def __init__(self, now: float) -> None:
        self.keys = Keys()
        self.addresses: list[Address | None] = []
        """None: the block has gone; what it held is in later ones, or forgotten."""
        self.loaded_blocks = 0
        self.touched_at = now

    @property
    def bytes_(self) -> int:
        return self.keys.bytes_ + len(self.addresses) * _ADDRESS_BYTES

    def add(self, address: Address, high: Numbers) -> None:
        """Add a block with its sorted identities."""
        self.keys.add(high, self._name(address))

    def add_many(self, blocks: Iterable[tuple[Address, bytes]]) -> None:
        """Add blocks with their hashes as they are stored."""
        highs: list[Numbers] = []
        names: list[Indices] = []
        for address, hashes in blocks:
            high, _ = split_hashes(hashes)
            highs.append(high)
            names.append(np.full(high.size, self._name(address), np.int64))
            self.loaded_blocks += 1
        self.keys.add_many(np.concatenate(highs), np.concatenate(names))

    def _name(self, address: Address) -> int:
        if len(self.addresses) >= BLOCKS_MAX:
            raise RuntimeError(f"more than {BLOCKS_MAX} blocks of group {address.grp} in a day")
        self.addresses.append(address)
        return len(self.addresses) - 1


class Pending(NamedTuple):
    """What a step wrote, while it is not known whether it was committed. `after`: number and
    token that it was written upon."""

    after: tuple[int, int | None]
    number: int
    token: int
    blocks: Mapping[Address, tuple[int, Block]]
    """With their days."""


class GroupMemory:
    """The days of a group as of its `number`; `token` says of which history."""

    def __init__(self) -> None:
        self.number = 0
        self.token: int | None = None
        self.days: dict[int, Day] = {}
        self.pending: Pending | None = None

    @property
    def state(self) -> tuple[int, int | None]:
        return self.number, self.token

    def restart(self, number: int, token: int | None) -> None:
        """Forget the days: they are loaded again when they are asked for."""
        self.number, self.token = number, token
        self.days.clear()

    def hold(self, group: Group, blocks: Mapping[Address, tuple[int, Block]]) -> None:
        """Keep what was just written on top of the locked `group`, as pending."""
        (number, token) = next((a.number, a.token) for a in blocks)
        before = self.pending
        if group.is_mine and before is not None and before.token == token:
            self.pending = before._replace(blocks={**before.blocks, **blocks})
        elif not group.is_mine:
            self.pending = Pending(self.state, number, token, blocks)

    def take_settled(self, group: Group) -> Mapping[Address, tuple[int, Block]]:
        """The pending blocks that turned out to be committed. None is pending after."""
        pending, self.pending = self.pending, None
        if pending is None or pending.token != group.token:
            return {}
        return pending.blocks

    def settle(self, group: Group) -> bool:
        """Come to the state of the locked `group` without reading, if that is possible."""
        pending = self.pending
        if self.state == (group.number, group.token):
            pass
        elif (
            pending is not None
            and (pending.number, pending.token) == (group.number, group.token)
            and pending.after == self.state
        ):
            for address, (day, block) in pending.blocks.items():
                self._add(day, address, block.high)
            self.number, self.token = group.number, group.token
        elif not self.days or self.token is None or self.number > group.number:
            self.restart(group.number, group.token)
        else:
            return False
        return True

    def follow(
        self, group: Group, later: Sequence[Later], written: Mapping[Address, tuple[int, Block]]
    ) -> None:
        """Come to the state of `group` by the blocks from our number to its number; blocks
        without hashes are among those `written` here."""
        if not any((b.address.number, b.address.token) == self.state for b in later):
            self.restart(group.number, group.token)  # another history, or compacted meanwhile
            return
        for block in later:
            if block.address.number <= self.number or block.day not in self.days:
                continue
            if block.is_sorted:
                del self.days[block.day]  # its blocks are replaced; closed days are rarely wanted
            elif block.hashes is not None:
                self._add(block.day, block.address, split_hashes(block.hashes)[0])
            else:
                self._add(block.day, block.address, written[block.address][1].high)
        self.number, self.token = group.number, group.token

    def _add(self, day: int, address: Address, high: Numbers) -> None:
        held = self.days.get(day)
        if held is None:
            return
        if len(held.addresses) > 2 * held.loaded_blocks + _ADDED_BLOCKS:
            del self.days[day]
        else:
            held.add(address, high)


class BlockCache:
    """Whole blocks that were used last, up to `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_ = 0
        self._bytes_max = bytes_max
        self._blocks: OrderedDict[Address, Block] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, address: Address) -> Block | None:
        """The block, if it is here."""
        block = self._blocks.get(address)
        if block is not None:
            self._blocks.move_to_end(address)
        return block

    def put(self, address: Address, block: Block) -> None:
        """Keep the block, and let go of those not used for longest."""
        if address in self._blocks:
            return
        self._blocks[address] = block
        self.bytes_ += block.ids * ID_BYTES + _ADDRESS_BYTES
        while self.bytes_ > self._bytes_max and len(self._blocks) > 1:
            _, old = self._blocks.popitem(last=False)
            self.bytes_ -= old.ids * ID_BYTES + _ADDRESS_BYTES


class Memory:
    """All groups. `bytes_max`: of fingerprints; a step that needs more has it for itself.
    `idle_seconds`: a day that nobody asked about for so long is dropped."""

    def __init__(
        self,
        *,
        bytes_max: int,
        cache_bytes: int,
        idle_seconds: float = 900,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache = BlockCache(cache_bytes)
        self._bytes_max, self._idle_seconds, self._clock = bytes_max, idle_seconds, clock
        self._groups: dict[int, GroupMemory] = {}

    def group(self, grp: int) -> GroupMemory:
        """What is known of a group; nothing at first."""
        return self._groups.setdefault(grp, GroupMemory())

    def new_day(self) -> Day:
        """A day without blocks, that is not known to any group yet."""
        return Day(self._clock())

    def touch(self, day: Day) -> Day:
        """Say that a day is in use."""
        day.touched_at = self._clock()
        return day

    @property
    def days(self) -> list[Day]:
        """All days that are held."""
        return [day for group in self._groups.values() for day in group.days.values()]

    def trim(self) -> int:
        """Drop days that are idle, then those idle for longest until the rest fits; returns the
        bytes that are held, cache included."""
        idle = [
            (day.touched_at, day.bytes_, number, group)
            for group in self._groups.values()
            for number, day in group.days.items()
        ]
        held = sum(item[1] for item in idle)
        now = self._clock()
        for touched_at, size, number, group in sorted(idle, key=lambda item: item[0]):
            is_idle = now - touched_at > self._idle_seconds
            if not is_idle and held <= self._bytes_max:
                break
            del group.days[number]
            held -= size
        return held + self.cache.bytes_

    def forget_before(self, day: int) -> None:
        """Drop the days before `day`."""
        for group in self._groups.values():
            for number in [number for number in group.days if number < day]:
                del group.days[number]
