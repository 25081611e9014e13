"""`make simulate`: many seeds, on all cores; the first that fails is made small and told.

SEED is the first of RUNS seeds. One seed is one run, so `make simulate SEED=52 RUNS=1` repeats it.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time

from tests.simulation.pipeline.run import Outcome, run_seed
from tests.simulation.pipeline.shrink import smallest, tell


def main() -> int:
    """Run the seeds that the arguments name; the exit code says whether all were right."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=2000, help="how many seeds")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.runs)
    began = time.monotonic()
    failed: list[Outcome] = []
    gates = faults = done = 0
    with multiprocessing.get_context("fork").Pool(given.workers, _quiet) as pool:
        for outcome in pool.imap_unordered(run_seed, seeds, chunksize=4):
            done += 1
            gates += outcome.gates
            faults += len(outcome.struck)
            if outcome.failed:
                failed.append(outcome)
                print(f"seed {outcome.scenario.seed} failed: {outcome.problems[0]}", flush=True)
            if done % 500 == 0:
                print(_summary(done, len(failed), gates, faults, began), flush=True)
    print(_summary(done, len(failed), gates, faults, began))
    if failed:
        _quiet()
        first = min(failed, key=lambda outcome: outcome.scenario.seed)
        print(f"\nthe least of seed {first.scenario.seed} that still fails:\n")
        print(tell(smallest(first)))
    return 1 if failed else 0


def _summary(done: int, failed: int, gates: int, faults: int, began: float) -> str:
    minutes = (time.monotonic() - began) / 60
    return (
        f"{done} seeds, {failed} failed; {gates:,} gates passed, {faults:,} faults; "
        f"{done / minutes:,.0f} seeds and {gates / minutes:,.0f} gates a minute"
    )


def _quiet() -> None:
    logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
