"""Each stage alone on the machine."""

from bench.contract import Benchmark
from bench.stages.api import IngestApi
from bench.stages.changing import Changing
from bench.stages.check import LocalCheck
from bench.stages.collector import Collector
from bench.stages.ledger import LedgerAlone
from bench.stages.models import PriceModels
from bench.stages.relay import Relay
from bench.stages.simulation import Simulation

STAGES: tuple[Benchmark, ...] = (
    IngestApi(),
    LedgerAlone(),
    Relay(),
    PriceModels(),
    Changing(),
    Simulation(),
    Collector(),
    LocalCheck(),
)
