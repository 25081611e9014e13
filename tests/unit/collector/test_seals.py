"""A node never claims more than it has sent."""

from hypothesis import given
from hypothesis import strategies as st

from collector.seals import SEALS_MAX, Seals


def test_a_seal_reaches_the_batch_that_brings_its_last_event() -> None:
    seals = Seals(tailing=False, margin_ms=0)
    seals.take(1000, last_seq=5)
    seals.take(2000, last_seq=9)
    assert seals.through(4) is None
    assert seals.through(5) == 1000
    assert seals.through(8) == 1000
    assert seals.through(9) == 2000


def test_the_margin_stays_behind() -> None:
    seals = Seals(tailing=False, margin_ms=300)
    seals.take(1000, last_seq=0)
    assert seals.through(0) == 700


def test_nothing_is_sealed_before_the_log_was_read_once() -> None:
    seals = Seals(tailing=True, margin_ms=0)
    seals.take(1000, last_seq=0)
    assert seals.through(0) is None
    seals.read_to_end(1500)
    seals.take(2000, last_seq=3)
    assert seals.through(3) == 1500


def test_a_log_that_lags_holds_the_seal_back() -> None:
    seals = Seals(tailing=True, margin_ms=0)
    seals.read_to_end(1500)
    seals.take(2000, last_seq=3)
    seals.take(9000, last_seq=700)
    assert seals.through(700) == 1500


def test_usage_on_its_way_to_the_disk_holds_the_seal_back() -> None:
    seals = Seals(tailing=False, margin_ms=0)
    first = seals.arrived(1000)
    second = seals.arrived(1500)
    seals.take(2000, last_seq=0)
    assert seals.through(0) == 1000
    seals.settled(first)
    seals.take(2500, last_seq=1)
    assert seals.through(1) == 1500
    seals.settled(second)
    seals.take(3000, last_seq=2)
    assert seals.through(2) == 3000


def test_long_offline_keeps_a_bounded_number() -> None:
    seals = Seals(tailing=False, margin_ms=0)
    for moment in range(10 * SEALS_MAX):
        seals.take(moment, last_seq=moment)
    assert len(seals._seals) <= SEALS_MAX
    assert seals.through(10 * SEALS_MAX) == 10 * SEALS_MAX - 1


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3), st.booleans()), max_size=60),
    st.integers(0, 5),
)
def test_every_claim_is_true(steps: list[tuple[int, int, bool]], margin: int) -> None:
    """Events are seen at rising times; whatever is claimed, what was seen before is in there."""
    seals = Seals(tailing=False, margin_ms=margin)
    now, seq = 0, 0
    seen_at: dict[int, int] = {}
    for wait, events, ship in steps:
        now += wait
        token = seals.arrived(now)
        for _ in range(events):
            seq += 1
            seen_at[seq] = now
        seals.settled(token)
        seals.take(now, seq)
        if ship:
            claim = seals.through(seq)
            assert claim is not None
            assert claim <= now
            assert all(at >= claim for number, at in seen_at.items() if number > seq)
