"""Recovery: from the fault until an event that was sent after it is visible by every path."""

import pytest

from chaos.load.probes import Sightings
from chaos.recovery import Struck, baseline, recovery, table


@pytest.fixture
def sightings() -> Sightings:
    """Two paths; a probe a second. What is sent by `slow` becomes visible from second 9 on."""
    seen = []
    for second in range(20):
        quick = second
        slow = second if second < 3 or second >= 9 else 3
        seen.append((float(second), {"quick": quick, "slow": slow}))
    sent = [float(second) for second in range(20)]
    return Sightings(sent={"quick": list(sent), "slow": list(sent)}, seen=seen)


def test_it_is_that_of_the_slowest_path(sightings: Sightings) -> None:
    # Probe 5 was sent at 4.0, the first after 3.5; `slow` shows it when it shows 9.
    assert recovery(3.5, sightings) == (5.5, "slow")


def test_what_was_sent_before_the_fault_does_not_count(sightings: Sightings) -> None:
    found = recovery(12.0, sightings)
    assert found is not None
    assert found[0] == 1.0  # probe 13, sent at 12.0, is visible at 13


def test_a_fault_whose_probes_never_came_has_no_recovery(sightings: Sightings) -> None:
    assert recovery(19.5, sightings) is None


def test_the_table_has_median_and_worst_of_each_kind(sightings: Sightings) -> None:
    struck = [
        Struck(1, "cut", "a", 3.5, 4.5),
        Struck(2, "cut", "b", 12.0, 12.5),
        Struck(3, "cut", "b", 13.0, 13.5),
    ]
    (row,) = table(struck, sightings)
    assert (row.kind, row.count, row.median, row.worst) == ("cut", 3, 1.0, 5.5)
    assert (row.lasted, row.slowest_path) == (0.5, "slow")


def test_undisturbed_probes_give_the_baseline(sightings: Sightings) -> None:
    assert baseline(sightings, before=2.0) == 1.0
