"""The real deduper, aggregator and rating stage under everything that can happen, by seeds.

`make simulate` runs more of them; a seed that fails is told by `make simulate SEED=... RUNS=1`.
"""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import patch

import pytest

from ingest.worker import Deduper
from tests.simulation.pipeline.run import run_scenario, run_seed
from tests.simulation.pipeline.scenario import from_seed
from tests.simulation.pipeline.shrink import smallest, tell

SEEDS = 120


def assert_exact(seed: int) -> None:
    outcome = run_seed(seed)
    assert not outcome.failed, tell(outcome)


def test_a_day_on_which_nothing_breaks() -> None:
    for seed in range(5):
        outcome = run_scenario(replace(from_seed(seed), faults=()))
        assert not outcome.failed, tell(outcome)


@pytest.mark.parametrize("first", range(0, SEEDS, 30))
def test_everything_that_can_happen(first: int) -> None:
    for seed in range(first, first + 30):
        assert_exact(seed)


def test_a_seed_repeats_a_run() -> None:
    assert run_seed(3) == run_seed(3)


def test_the_faults_of_a_run_repeat_it() -> None:
    outcome = next(outcome for outcome in map(run_seed, range(20)) if outcome.struck)
    again = run_scenario(outcome.scenario.with_faults(outcome.struck))
    assert (again.gates, again.struck, again.seconds) == (
        outcome.gates,
        outcome.struck,
        outcome.seconds,
    )


@pytest.fixture
def forgetful_takeover() -> Iterator[None]:
    """A deduper that does not emit again what its predecessor had committed."""
    recover = Deduper.recover

    async def forget(self: Deduper, part: object) -> None:
        position = part.position  # type: ignore[attr-defined]
        part.emitted(position.next_offset)  # type: ignore[attr-defined]
        await recover(self, part)  # type: ignore[arg-type]

    with patch.object(Deduper, "recover", forget):
        yield


@pytest.mark.usefixtures("forgetful_takeover")
def test_a_failing_run_is_made_small() -> None:
    failed = next(outcome for outcome in map(run_seed, range(40)) if outcome.failed)
    small = smallest(failed, runs_max=60)
    assert small.failed
    assert len(small.struck) < len(failed.struck)
    assert "wrong: " in tell(small)
