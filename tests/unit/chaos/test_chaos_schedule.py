"""The schedule of faults: from a seed alone, every kind in it, spread over the time."""

from collections import Counter
from itertools import pairwise

import pytest

from chaos.faults import KINDS
from chaos.schedule import Kind, plan


def test_a_minute_with_twenty_faults_has_every_kind_in_it() -> None:
    planned = plan(7, 60, 20, KINDS)
    assert [fault.n for fault in planned] == list(range(1, 21))
    assert {fault.kind for fault in planned} == {kind.name for kind in KINDS}
    assert all(0 <= fault.at < 60 for fault in planned)
    assert all(a.at < b.at for a, b in pairwise(planned))


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert plan(7, 600, 200, KINDS) == plan(7, 600, 200, KINDS)
    assert plan(7, 600, 200, KINDS) != plan(8, 600, 200, KINDS)


@pytest.mark.parametrize("seed", range(20))
def test_each_fault_hits_what_its_kind_may_hit_for_as_long_as_it_may(seed: int) -> None:
    kinds = {kind.name: kind for kind in KINDS}
    for fault in plan(seed, 600, 200, KINDS):
        kind = kinds[fault.kind]
        assert any(fault.target in group for group in kind.targets)
        assert kind.lasts[0] - 0.1 <= fault.lasts <= kind.lasts[1] + 0.1
        assert all(fault.detail[name] in values for name, values in kind.choices.items())


@pytest.mark.parametrize("seed", range(20))
def test_a_kind_rests_after_it_struck(seed: int) -> None:
    kinds = [Kind("calm", 1, [["a"]], rest_seconds=30), Kind("quick", 9, [["a", "b"]])]
    planned = plan(seed, 300, 100, kinds)
    calm = [fault.at for fault in planned if fault.kind == "calm"]
    assert len(calm) > 1
    assert all(later - earlier >= 30 for earlier, later in pairwise(calm))


def test_kinds_are_dealt_by_weight() -> None:
    kinds = [Kind("rare", 1, [["a"]]), Kind("often", 9, [["a"]])]
    count = Counter(fault.kind for fault in plan(1, 1000, 1000, kinds))
    assert count["rare"] == 100
