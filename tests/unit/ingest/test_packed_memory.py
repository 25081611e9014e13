"""What a process remembers of the packed ledger: bounded, and only what is committed."""

import numpy as np
import pytest

from ingest.packed import memory as module
from ingest.packed.blocks import Block
from ingest.packed.memory import BlockCache, GroupMemory, Memory
from ingest.store.ledger_blocks import Address, Group, Later
from tests.unit.ingest.test_packed import block_of

KIB = 1024


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def address(number: int, token: int = 7) -> Address:
    return Address(0, number, 0, token)


def some(ids: int, seed: int = 1) -> Block:
    chance = np.random.default_rng(seed)
    return block_of([(int(high), 0) for high in chance.integers(0, 2**63, ids)])


def with_days(memory: Memory, days: range, clock: Clock) -> GroupMemory:
    """A group with 1,000 identities on each of `days`, each asked about a second later."""
    group = memory.group(0)
    group.restart(1, 7)
    for day in days:
        clock.now += 1
        held = memory.new_day()
        held.add(address(1), some(1000).high)
        group.days[day] = held
    return group


def test_days_idle_for_longest_go_first_when_room_is_short() -> None:
    clock = Clock()
    memory = Memory(bytes_max=40 * KIB, cache_bytes=KIB, clock=clock)
    group = with_days(memory, range(5), clock)
    memory.touch(group.days[0])
    assert memory.trim() <= 40 * KIB
    assert sorted(group.days) == [0, 4]


def test_a_day_that_nobody_asks_about_is_dropped() -> None:
    clock = Clock()
    memory = Memory(bytes_max=10**9, cache_bytes=KIB, idle_seconds=60, clock=clock)
    group = with_days(memory, range(3), clock)
    clock.now += 50
    memory.touch(group.days[1])
    clock.now += 20
    memory.trim()
    assert list(group.days) == [1]


def test_old_days_are_forgotten() -> None:
    clock = Clock()
    memory = Memory(bytes_max=10**9, cache_bytes=KIB, clock=clock)
    group = with_days(memory, range(3), clock)
    memory.forget_before(2)
    assert list(group.days) == [2]


def test_the_cache_keeps_what_was_used_last_within_its_bytes() -> None:
    cache = BlockCache(bytes_max=3 * 100 * 36 + 1000)
    for number in range(3):
        cache.put(address(number), some(100))
    cache.get(address(0))
    cache.put(address(3), some(100))
    assert [cache.get(address(number)) is not None for number in range(4)] == [
        True,
        False,
        True,
        True,
    ]
    assert cache.bytes_ <= 3 * 100 * 36 + 1000


def test_what_was_written_joins_when_the_group_has_its_number_and_token() -> None:
    group = GroupMemory()
    group.restart(4, 40)
    group.days[1] = Memory(bytes_max=1, cache_bytes=1).new_day()
    group.hold(Group(0, 4, 40, is_mine=False), {address(5, 50): (1, some(10))})
    assert len(group.days[1].keys) == 0, "not before it is known to be committed"
    assert group.settle(Group(0, 5, 50, is_mine=False))
    assert (group.state, len(group.days[1].keys)) == ((5, 50), 10)


def test_what_was_rolled_back_does_not_join() -> None:
    group = GroupMemory()
    group.restart(4, 40)
    group.days[1] = Memory(bytes_max=1, cache_bytes=1).new_day()
    group.hold(Group(0, 4, 40, is_mine=False), {address(5, 50): (1, some(10))})
    # Somebody else was given the number.
    other = Group(0, 5, 51, is_mine=False)
    assert not group.settle(other)
    theirs = Later(address(5, 51), 1, False, bytes(16))
    group.follow(other, [Later(address(4, 40), 1, False, None), theirs], {})
    assert group.state == (5, 51)
    assert group.days[1].addresses == [address(5, 51)]


def test_another_history_is_not_followed() -> None:
    group = GroupMemory()
    group.restart(4, 40)
    group.days[1] = Memory(bytes_max=1, cache_bytes=1).new_day()
    now = Group(0, 6, 60, is_mine=False)
    assert not group.settle(now)
    group.follow(
        now, [Later(address(4, 41), 1, False, None), Later(address(6, 60), 1, False, b"")], {}
    )
    assert (group.state, group.days) == ((6, 60), {})


def test_a_day_is_read_again_when_many_small_blocks_were_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ADDED_BLOCKS", 3)
    group = GroupMemory()
    group.restart(0, 0)
    group.days[1] = Memory(bytes_max=1, cache_bytes=1).new_day()
    for number in range(1, 6):
        group.hold(
            Group(0, number - 1, number - 1, is_mine=False), {address(number, number): (1, some(2))}
        )
        assert group.settle(Group(0, number, number, is_mine=False))
    assert group.days == {}


def test_a_sorted_day_is_read_again() -> None:
    group = GroupMemory()
    group.restart(4, 40)
    group.days[1] = Memory(bytes_max=1, cache_bytes=1).new_day()
    group.days[2] = Memory(bytes_max=1, cache_bytes=1).new_day()
    later = [Later(address(4, 40), 2, False, None), Later(address(5, 50), 1, True, None)]
    group.follow(Group(0, 5, 50, is_mine=False), later, {})
    assert list(group.days) == [2]
