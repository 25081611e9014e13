"""A node's sequence: each number once, holes known."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.sequence import GAPS_MAX, NodeSequence, Place, place, runs


def digests(first: int, count: int) -> list[bytes]:
    return [b"%d" % seq for seq in range(first, first + count)]


def test_a_batch_after_the_other_is_new() -> None:
    state, places = place(NodeSequence(), 1, digests(1, 3), {})
    assert (state, places) == (NodeSequence(4), [Place.NEW] * 3)
    state, places = place(state, 4, digests(4, 2), {})
    assert (state, places) == (NodeSequence(6), [Place.NEW] * 2)


def test_a_half_overlapping_retry_adds_its_new_part() -> None:
    state, places = place(NodeSequence(4), 3, digests(3, 3), {3: b"3"})
    assert places == [Place.TAKEN, Place.NEW, Place.NEW]
    assert state == NodeSequence(6)


def test_a_gap_is_taken_recorded_and_filled_later() -> None:
    state, places = place(NodeSequence(3), 10, digests(10, 2), {})
    assert places == [Place.NEW] * 2
    assert state == NodeSequence(12, ((3, 9),))
    state, places = place(state, 5, digests(5, 2), {})
    assert places == [Place.NEW] * 2
    assert state == NodeSequence(12, ((3, 4), (7, 9)))
    state, places = place(state, 1, digests(1, 12), {})
    expected = {3, 4, 7, 8, 9, 12}
    assert [seq for seq, what in enumerate(places, 1) if what is Place.NEW] == sorted(expected)
    assert state == NodeSequence(13)


def test_the_same_number_with_other_content_is_a_conflict() -> None:
    _, places = place(NodeSequence(3), 1, [b"1", b"other"], {1: b"1", 2: b"2"})
    assert places == [Place.TAKEN, Place.CONFLICT]


def test_a_number_whose_digest_was_forgotten_counts_as_the_same() -> None:
    _, places = place(NodeSequence(3), 2, [b"2"], {})
    assert places == [Place.TAKEN]


def test_a_node_cannot_open_gaps_without_end() -> None:
    gaps = tuple((2 * n, 2 * n) for n in range(1, GAPS_MAX + 1))
    full = NodeSequence(2 * GAPS_MAX + 2, gaps)
    state, places = place(full, full.next_seq + 1, digests(0, 2), {})
    assert (state, places) == (full, [Place.TOO_MANY_GAPS] * 2)
    wide = NodeSequence(10**9, ((2, 10**8), *((10**8 + n * 2,) * 2 for n in range(1, GAPS_MAX))))
    state, places = place(wide, 500, digests(500, 1), {})
    assert (state, places) == (wide, [Place.TOO_MANY_GAPS])
    state, places = place(wide, 2, digests(2, 1), {})
    assert places == [Place.NEW]


def test_runs_are_the_stretches_of_new_elements() -> None:
    new, taken = Place.NEW, Place.TAKEN
    assert runs([new, new, taken, new, taken, taken, new]) == [(0, 1), (3, 3), (6, 6)]
    assert runs([taken]) == []


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)), max_size=30))
def test_agrees_with_a_set(batches: list[tuple[int, int]]) -> None:
    state = NodeSequence()
    taken: dict[int, bytes] = {}
    for first, count in batches:
        content = digests(first, count)
        state, places = place(state, first, content, taken)
        for seq, (what, digest) in enumerate(zip(places, content, strict=True), first):
            assert what is (Place.TAKEN if seq in taken else Place.NEW)
            taken[seq] = digest
        assert state.next_seq == max(taken, default=0) + 1
        missing = set(range(1, state.next_seq)) - set(taken)
        assert {seq for low, high in state.gaps for seq in range(low, high + 1)} == missing
        assert all(a[1] + 1 < b[0] for a, b in zip(state.gaps, state.gaps[1:], strict=False))
