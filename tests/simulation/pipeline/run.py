"""One run of a scenario, from beginning to verdict."""

from dataclasses import dataclass
from unittest.mock import patch

import ingest.accept
from tests.simulation.models.install import installed
from tests.simulation.pipeline.checks import problems
from tests.simulation.pipeline.scenario import BASE_MS, Scenario, Struck, from_seed
from tests.simulation.pipeline.world import World
from tests.simulation.virtual import run

ENVELOPE_BYTES = 450
"""So small that requests become several envelopes."""


@dataclass(frozen=True)
class Outcome:
    """`problems`: what is wrong; nothing is what one hopes for. `struck`: the faults it met."""

    scenario: Scenario
    problems: tuple[str, ...]
    struck: tuple[Struck, ...]
    gates: int
    seconds: float
    """How long it took in the run's own time."""

    @property
    def failed(self) -> bool:
        return bool(self.problems)


def run_scenario(scenario: Scenario) -> Outcome:
    """Run it; the same scenario has the same outcome."""
    world = World(scenario)

    async def main() -> float:
        await world.run()
        return world.clock()

    with installed(BASE_MS), patch.object(ingest.accept, "ENVELOPE_BYTES", ENVELOPE_BYTES):
        seconds = run(main())
    return Outcome(
        scenario=scenario,
        problems=tuple(problems(world)),
        struck=tuple(world.faults.struck),
        gates=world.faults.gates,
        seconds=seconds,
    )


def run_seed(seed: int) -> Outcome:
    return run_scenario(from_seed(seed))
