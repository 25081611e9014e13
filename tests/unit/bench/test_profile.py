"""What py-spy's stacks become."""

import pytest

from bench.profile import summed, to_text

RAW = [
    "run (asyncio/runners.py:118);step (worker.py:10);fold (fold.py:5) 60",
    "run (asyncio/runners.py:118);step (worker.py:10);write (store.py:7) 30",
    "run (asyncio/runners.py:118) 10",
    "_bootstrap (threading.py:1);_worker (concurrent/futures/thread.py:81) 900",
]


def test_a_frame_counts_where_it_is_innermost_and_wherever_it_is() -> None:
    profile = summed(RAW)
    assert profile.samples == 100, "threads that wait for work are not busy"
    assert profile.own["fold (fold.py:5)"] == pytest.approx(0.6)
    assert profile.within["step (worker.py:10)"] == pytest.approx(0.9)
    assert "run (asyncio/runners.py:118)" not in profile.within


def test_a_frame_that_recurs_in_a_stack_counts_once() -> None:
    assert summed(["a (x.py:1);b (x.py:2);a (x.py:1) 4"]).within["a (x.py:1)"] == 1


def test_the_text_begins_with_what_matters_most() -> None:
    lines = to_text("aggregator", summed(RAW)).splitlines()
    assert lines[0] == "aggregator: 100 samples"
    assert lines[3].split() == ["60.0%", "fold", "(fold.py:5)"]


def test_a_process_that_was_never_busy_has_no_shares() -> None:
    assert summed(RAW[3:]).samples == 0
