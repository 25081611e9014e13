"""Where something breaks: at random, or where it broke before."""

from random import Random

from tests.simulation.pipeline.scenario import (
    FAULTS_SECONDS,
    LEASE_SECONDS,
    Scenario,
    Struck,
)
from tests.simulation.process import Fault


class Faults:
    """Decides at each gate, and keeps `struck`, from which the run can be repeated."""

    def __init__(self, scenario: Scenario) -> None:
        self.gates = 0
        self.struck: list[Struck] = []
        self._counts: dict[str, int] = {}
        self._random = Random(f"faults {scenario.seed}")
        self._intensity = scenario.intensity
        self._listed = None
        if scenario.faults is not None:
            self._listed = {(one.slot, one.gate): one.fault for one in scenario.faults}

    def at(self, slot: str, point: str, now: float) -> Fault | None:
        """What happens at the next gate of `slot`."""
        self.gates += 1
        gate = self._counts[slot] = self._counts.get(slot, -1) + 1
        if self._listed is not None:
            fault = self._listed.get((slot, gate))
        else:
            fault = self._dice(point) if now < FAULTS_SECONDS else None
        if fault is not None:
            self.struck.append(Struck(slot, gate, fault, point, now))
        return fault

    def _dice(self, point: str) -> Fault | None:
        often = self._intensity * (4 if point.startswith(("append", "commit")) else 1)
        dice = self._random.random() / often if often else 1.0
        if dice >= 0.03:
            return None
        seconds = round(self._random.random() * 2.5 * LEASE_SECONDS, 2)
        if dice < 0.006:
            return Fault("crash")
        if dice < 0.013:
            return Fault("freeze", seconds)
        if dice < 0.015:
            return Fault("slow", seconds)
        return Fault("late", seconds) if dice < 0.022 else Fault("cut")
