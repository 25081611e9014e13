"""Whether an event costs the same when there is much already."""

from bench.contract import Benchmark
from bench.growth.grown import Growth

GROWTH: tuple[Benchmark, ...] = (Growth(),)
