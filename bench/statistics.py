"""The few numbers that stand for many. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum of several repetitions."""

    low: float
    middle: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """ValueError when there is no value."""
    if not values:
        raise ValueError("a spread needs at least one value")
    ordered = sorted(values)
    n = len(ordered)
    middle = ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2
    return Spread(ordered[0], middle, ordered[-1])


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("a quantile needs at least one value")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(max(rank, 1), len(ordered)) - 1]
