"""Makes a failing run small (fewer faults, fewer actions, still wrong) and tells it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.simulation.pipeline.front import story
from tests.simulation.pipeline.run import Outcome, run_scenario
from tests.simulation.pipeline.scenario import Action, Scenario, Struck

T = TypeVar("T")
RUNS_MAX = 400


def smallest(outcome: Outcome, runs_max: int = RUNS_MAX) -> Outcome:
    """The smallest failing run found on the way down from `outcome`, which has failed."""
    budget = _Budget(runs_max)
    best = _again(outcome.scenario.with_faults(outcome.struck), budget)
    if best is None:
        return outcome
    while True:
        before = (len(best.struck), len(best.scenario.actions))
        best = _fewer(best, budget, lambda one: one.struck, _with_faults)
        best = _fewer(best, budget, lambda one: one.scenario.actions, _with_actions)
        for stage in best.scenario.workers:
            alone = replace(best.scenario, workers=best.scenario.workers | {stage: 1})
            best = _again(alone, budget) or best
        if (len(best.struck), len(best.scenario.actions)) == before or not budget.left:
            return best


def tell(outcome: Outcome) -> str:
    """The story of a run: what was done, what broke, and what came of it."""
    lines = [f"seed {outcome.scenario.seed}: {len(outcome.struck)} faults"]
    skews = {host: ahead for host, ahead in outcome.scenario.skews.items() if ahead}
    if skews:
        lines.append(f"clocks ahead by seconds: {skews}")
    told = [
        (action.at, f"{action.who} {action.what} {story(action.about)}".rstrip())
        for action in outcome.scenario.actions
    ]
    for one in outcome.struck:
        seconds = f" for {one.fault.seconds} s" if one.fault.seconds else ""
        told.append(
            (one.at, f"{one.slot}, gate {one.gate}, {one.point}: {one.fault.kind}{seconds}")
        )
    lines += [f"{at:7.3f} s  {what}" for at, what in sorted(told)]
    lines += [f"   wrong: {problem}" for problem in outcome.problems]
    return "\n".join(lines)


class _Budget:
    def __init__(self, runs: int) -> None:
        self.left = runs


def _again(scenario: Scenario, budget: _Budget) -> Outcome | None:
    """`scenario` run, if it fails."""
    if not budget.left:
        return None
    budget.left -= 1
    tried = run_scenario(scenario)
    return tried if tried.failed else None


def _with_faults(outcome: Outcome, faults: Sequence[Struck]) -> Scenario:
    return outcome.scenario.with_faults(tuple(faults))


def _with_actions(outcome: Outcome, actions: Sequence[Action]) -> Scenario:
    return outcome.scenario.with_actions(tuple(actions))


def _fewer(
    outcome: Outcome,
    budget: _Budget,
    parts_of: Callable[[Outcome], Sequence[T]],
    rebuild: Callable[[Outcome, Sequence[T]], Scenario],
) -> Outcome:
    """Leave out halves, quarters, and so on, as long as it still fails (delta debugging)."""
    size = len(parts_of(outcome))
    while size >= 1 and budget.left:
        at = 0
        while at < len(parts_of(outcome)) and budget.left:
            parts = parts_of(outcome)
            kept = [*parts[:at], *parts[at + size :]]
            fewer = _again(rebuild(outcome, kept), budget)
            if fewer is not None and len(parts_of(fewer)) < len(parts):
                outcome = fewer
            else:
                at += size
        size //= 2
    return outcome
