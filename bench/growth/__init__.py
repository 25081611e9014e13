"""Whether an event costs the same when there is much already, and memory stays the same."""

from bench.contract import Benchmark
from bench.growth.grown import Growth
from bench.growth.memory import RatingMemory

GROWTH: tuple[Benchmark, ...] = (Growth(), RatingMemory())
