"""After an outage new usage leaves before the old; everything leaves once; no seal lies."""

from hypothesis import given
from hypothesis import strategies as st

from collector.lanes import BEHIND_EVENTS, FRESH_EVENTS, STRETCHES_MAX, Lanes, take, waiting
from collector.seals import Seals

DAY = 1_000_000


def test_in_order_as_long_as_it_is_quick() -> None:
    lanes = Lanes()
    assert lanes.choose(0, (), BEHIND_EVENTS + 1, fresh_due=True) == 0
    assert lanes.choose(1000, (), BEHIND_EVENTS + 1, fresh_due=True) == 1000


def test_after_a_day_the_newest_usage_and_the_backlog_take_turns() -> None:
    lanes = Lanes()
    cut = DAY - FRESH_EVENTS
    assert lanes.choose(0, (), DAY + 1, fresh_due=True) == cut, "the newest of all"
    ahead = ((cut + 1, DAY),)
    assert lanes.choose(0, ahead, DAY + 11, fresh_due=True) == 0, "the backlog's turn"
    assert lanes.choose(1000, ahead, DAY + 11, fresh_due=True) == DAY, "what came since"
    ahead = ((cut + 1, DAY + 10),)
    assert lanes.choose(1000, ahead, DAY + 21, fresh_due=True) == 1000
    assert lanes.choose(2000, ahead, DAY + 31, fresh_due=False) == 2000, "waits for company"
    assert lanes.choose(3000, ahead, DAY + 31, fresh_due=True) == DAY + 10


def test_a_restart_in_the_middle_goes_on_with_what_is_fresh() -> None:
    ahead = ((DAY + 1, DAY + 10),)
    assert Lanes().choose(1000, ahead, DAY + 21, fresh_due=True) == DAY + 10


def test_the_lanes_meet() -> None:
    assert take(DAY - 1000, [(DAY + 1, DAY + 10)], (DAY - 999, DAY)) == (DAY + 10, ())
    assert Lanes(cut=DAY).choose(DAY + 10, (), DAY + 21, fresh_due=False) == DAY + 10


def test_waiting_counts_what_the_centre_does_not_have() -> None:
    assert waiting(10, ((21, 30), (41, 50)), 61) == 30


def test_however_often_the_centre_goes_away_the_gaps_stay_few() -> None:
    lanes, acked_seq, ahead, next_seq = Lanes(), 0, (), 1
    for _ in range(10 * STRETCHES_MAX):
        next_seq += 2 * BEHIND_EVENTS
        for _ in range(2):
            after = lanes.choose(acked_seq, ahead, next_seq, fresh_due=True)
            next_seq += 1
            acked_seq, ahead = take(acked_seq, ahead, (after + 1, after + 1))
    assert 1 < len(ahead) <= STRETCHES_MAX


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["quiet", "burst", "restart"]), st.booleans()),
        max_size=80,
    )
)
def test_everything_leaves_once_and_no_claim_is_ahead_of_it(
    steps: list[tuple[int, str, bool]],
) -> None:
    """The shipper's loop with a model of the spool. Whatever is claimed, what was seen before has
    left by then."""
    lanes, seals = Lanes(), Seals(tailing=False, margin_ms=0)
    acked_seq, ahead, next_seq = 0, (), 1
    sent: list[int] = []
    seen_at: dict[int, int] = {}
    for now, (events, what, due) in enumerate([*steps, *[(0, "quiet", True)] * 200]):
        count = events * (BEHIND_EVENTS if what == "burst" else 1)
        seen_at.update(dict.fromkeys(range(next_seq, next_seq + count), now))
        next_seq += count
        seals.take(now, next_seq - 1)
        if what == "restart":
            lanes, seals = Lanes(), Seals(tailing=False, margin_ms=0)
        after = lanes.choose(acked_seq, ahead, next_seq, fresh_due=due)
        room = min([first - 1 for first, _ in ahead if first > after] + [next_seq - 1])
        batch = range(after + 1, min(after + 4000, room) + 1)
        assert batch or waiting(acked_seq, ahead, next_seq) == 0
        sent.extend(batch)
        if batch:
            acked_seq, ahead = take(acked_seq, ahead, (batch[0], batch[-1]))
        claim = seals.through(acked_seq)
        unsent = range(acked_seq + 1, ahead[0][0] if ahead else next_seq)
        assert claim is None or not unsent or claim <= seen_at[unsent[0]]
    assert sorted(sent) == list(range(1, next_seq))
    assert (acked_seq, ahead) == (next_seq - 1, ())
