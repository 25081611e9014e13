"""The few numbers that stand for many repetitions."""

import pytest

from bench.statistics import Spread, quantile, spread


def test_the_median_of_an_odd_number_is_one_of_them() -> None:
    assert spread([30, 10, 20]) == Spread(10, 20, 30)


def test_the_median_of_an_even_number_lies_between() -> None:
    assert spread([10, 40, 20, 30]) == Spread(10, 25, 40)


def test_one_repetition_is_its_own_spread() -> None:
    assert spread([7]) == Spread(7, 7, 7)


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        spread([])


@pytest.mark.parametrize(
    ("share", "wanted"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_quantile_is_a_value_that_was_measured(share: float, wanted: int) -> None:
    assert quantile(list(range(100, 0, -1)), share) == wanted


def test_the_p99_of_few_values_is_the_highest() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
