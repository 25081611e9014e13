"""What the machine, the broker and the database could do at the most: nothing of Tollgate in it but
its settings and the sizes of its records."""

from bench.ceilings.http import EmptyRoute
from bench.ceilings.kafka import KafkaCeiling
from bench.ceilings.postgres import PostgresCeiling
from bench.ceilings.sqlite import SqliteCeiling
from bench.contract import Benchmark

CEILINGS: tuple[Benchmark, ...] = (
    KafkaCeiling(),
    PostgresCeiling(),
    EmptyRoute(),
    SqliteCeiling(),
)
