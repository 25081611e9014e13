"""The whole way."""

from bench.contract import Benchmark
from bench.endtoend.services import Services
from bench.endtoend.throughput import Throughput

END_TO_END: tuple[Benchmark, ...] = (Throughput(), Services())
