"""Blocks and fingerprints of the packed ledger, compared with sets and dictionaries."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.packed.blocks import (
    Block,
    Numbers,
    join,
    pack,
    split_hashes,
    unpack,
    unpack_origin,
)
from ingest.packed.keys import Keys

# Few beginnings and few ends: most identities share 8 bytes with another one.
halves = st.sampled_from([0, 1, 2**24, 2**40, 2**63, 2**64 - 1])
identities = st.tuples(halves, halves)


def numbers(values: list[int]) -> Numbers:
    return np.array(values, np.uint64)


def block_of(names: list[tuple[int, int]]) -> Block:
    """A block of different identities, whose origins tell them apart."""
    ordered = sorted(set(names))
    return Block(
        numbers([high for high, _ in ordered]),
        numbers([low for _, low in ordered]),
        np.arange(len(ordered), dtype=np.int64),
        np.arange(len(ordered), dtype=np.uint32) + np.uint32(5 << 24),
        numbers([high ^ low for high, low in ordered]),
    )


@given(st.lists(identities), st.lists(identities))
def test_a_block_finds_what_it_holds_and_nothing_else(
    held: list[tuple[int, int]], wanted: list[tuple[int, int]]
) -> None:
    block = block_of(held)
    at = block.find(numbers([h for h, _ in wanted]), numbers([low for _, low in wanted]))
    ordered = sorted(set(held))
    assert at.tolist() == [ordered.index(w) if w in ordered else -1 for w in wanted]


@given(st.lists(identities, min_size=1))
def test_a_block_is_stored_as_its_bytes_sort(names: list[tuple[int, int]]) -> None:
    block = block_of(names)
    packed = pack(block)
    stored = [packed.hashes[at : at + 16] for at in range(0, len(packed.hashes), 16)]
    assert stored == sorted(h.to_bytes(8, "big") + low.to_bytes(8, "big") for h, low in set(names))
    assert (packed.first_hash, packed.last_hash) == (stored[0], stored[-1])
    again = unpack(packed.hashes, packed.origins, packed.digests)
    assert all((a == b).all() for a, b in zip(again, block, strict=True))
    assert unpack_origin(packed.origins[:12]) == (5, 0, 0)


@given(st.lists(st.lists(identities, min_size=1), min_size=1))
def test_joined_blocks_hold_each_identity_once(parts: list[list[tuple[int, int]]]) -> None:
    joined = join([block_of(part) for part in parts])
    found = list(zip(joined.high.tolist(), joined.low.tolist(), strict=True))
    assert found == sorted({name for part in parts for name in part})
    first = next(part for part in parts if found[0] in part)
    assert joined.offsets[0] == sorted(set(first)).index(found[0])


@given(st.lists(st.lists(identities, max_size=5), max_size=12), st.lists(identities))
def test_fingerprints_name_every_block_that_may_hold_an_identity(
    blocks: list[list[tuple[int, int]]], wanted: list[tuple[int, int]]
) -> None:
    keys = Keys()
    for name, ids in enumerate(blocks):
        keys.add(numbers(sorted(high for high, _ in ids)), name)
    rows, names = keys.candidates(numbers([high for high, _ in wanted]))
    found = set(zip(rows.tolist(), names.tolist(), strict=True))
    assert found == {
        (row, name)
        for row, (high, _) in enumerate(wanted)
        for name, ids in enumerate(blocks)
        if any(high >> 24 == other >> 24 for other, _ in ids)
    }
    assert len(keys) == sum(len(ids) for ids in blocks)


def test_an_empty_day_has_no_candidates() -> None:
    rows, names = Keys().candidates(numbers([1, 2]))
    assert rows.size == names.size == 0
    assert block_of([]).find(numbers([1]), numbers([1])).tolist() == [-1]


def test_many_blocks_make_few_runs() -> None:
    chance = np.random.default_rng(7)
    keys = Keys()
    for name in range(1000):
        keys.add(np.sort(chance.integers(0, 2**64, 10, dtype=np.uint64)), name)
    assert len(keys) == 10_000
    assert len(keys._runs) < 12


def test_hashes_are_split_as_they_sort() -> None:
    high, low = split_hashes(bytes(range(32)))
    assert [hex(n) for n in high.tolist()] == ["0x1020304050607", "0x1011121314151617"]
    assert [hex(n) for n in low.tolist()] == ["0x8090a0b0c0d0e0f", "0x18191a1b1c1d1e1f"]
