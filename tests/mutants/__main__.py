"""`make mutants`: removes each protection in turn, in a process of its own, and lets its test run.

RUNS says how many seeds a protection is attacked with; --quick stops at the first that notices,
and leaves out what needs servers. The table goes into docs/promises.md.
"""

import argparse
import contextlib
import io
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import aiokafka  # noqa: F401 (the heavy libraries once, before the processes are forked)
import asyncpg  # noqa: F401
import fastapi  # noqa: F401
import hypothesis  # noqa: F401
import msgspec  # noqa: F401
import numpy  # noqa: F401
import pytest
from rich.console import Console
from rich.table import Table

from tests.mutants.catalogue import MUTANTS, Mutant

PAGE = Path(__file__).parents[2] / "docs/promises.md"
BEGIN, END = "<!-- mutants: written by make mutants -->", "<!-- /mutants -->"


@dataclass(frozen=True)
class Attack:
    """`caught` of `runs` runs noticed; `found`: what the first said, `error`: why it could not.
    No runs: this machine cannot run the test."""

    mutant: Mutant | None
    caught: int
    runs: int
    seconds: float
    found: str = ""
    error: str = ""
    seeds: tuple[int, ...] = ()


def main() -> int:
    """Attack what the arguments name; the exit code says whether each protection was missed, and
    nothing was found with all of them in place."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="seeds for each protection")
    parser.add_argument("--quick", action="store_true", help="a minute, without servers")
    parser.add_argument("--only", default="", help="protections whose name contains this")
    given = parser.parse_args()
    chosen = [
        one
        for one in MUTANTS
        if given.only in one.protection and not (given.quick and one.needs_servers)
    ]
    jobs = [(one, given.runs, given.quick) for one in chosen]
    attacks = []
    context = multiprocessing.get_context("fork")
    with context.Pool(os.cpu_count() or 1, maxtasksperchild=1) as pool:
        for attack in pool.imap(_attack, jobs, chunksize=1):
            attacks.append(attack)
            print(_told(attack), flush=True)
        seeds = sorted({seed for attack in attacks for seed in attack.seeds}) or [0]
        control = pool.apply(_control, (seeds if given.quick else range(given.runs),))
    print(f"with every protection: {control.caught} of {control.runs} seeds found anything")
    if not given.quick and not given.only:
        _show(attacks, control)
        _write(attacks, control)
    missed = [one for one in attacks if one.error or one.caught == 0 < one.runs]
    for one in missed:
        print(
            f"NOT MISSED: {one.mutant and one.mutant.protection}: {one.error or 'no test failed'}"
        )
    return 1 if missed or control.caught else 0


def _attack(job: tuple[Mutant, int, bool]) -> Attack:
    mutant, runs, quick = job
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    try:
        mutant.removal.apply()
        if mutant.by_seeds:
            caught, tried, found, seeds = _by_seeds(range(runs), stop_early=quick)
        else:
            caught, tried, found, seeds = _by_test(mutant.test)
    except Exception:
        return Attack(mutant, 0, 0, time.monotonic() - began, error=traceback.format_exc())
    return Attack(mutant, caught, tried, time.monotonic() - began, found, seeds=seeds)


def _control(seeds: Iterable[int]) -> Attack:
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    caught, tried, found, _ = _by_seeds(seeds, stop_early=False)
    return Attack(None, caught, tried, time.monotonic() - began, found)


def _by_seeds(seeds: Iterable[int], *, stop_early: bool) -> tuple[int, int, str, tuple[int, ...]]:
    from tests.simulation.pipeline.run import run_seed

    tried, noticed, found = 0, [], ""
    for seed in seeds:
        tried += 1
        outcome = run_seed(seed)
        if outcome.failed:
            noticed.append(seed)
            found = found or outcome.problems[-1]
            if stop_early:
                break
    return len(noticed), tried, found, tuple(noticed[:1])


def _by_test(test: str) -> tuple[int, int, str, tuple[int, ...]]:
    output, reports = io.StringIO(), _Reports()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        arguments = [test, "-q", "-x", "-p", "no:cacheprovider", "--no-header"]
        code = pytest.main(arguments, plugins=[reports])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"{test} did not run: {code}\n{output.getvalue()[-2000:]}")
    if not reports.ran:
        return 0, 0, f"left out: {reports.skipped}", ()
    said = [line[1:].strip() for line in output.getvalue().splitlines() if line.startswith("E ")]
    return int(code != pytest.ExitCode.OK), 1, said[0] if said else "", ()


class _Reports:
    """Whether a test ran, or why this machine left it out."""

    def __init__(self) -> None:
        self.ran, self.skipped = False, ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.skipped = str(report.longrepr)
        elif report.when == "call":
            self.ran = True


def _told(attack: Attack) -> str:
    name = attack.mutant.protection if attack.mutant else "control"
    if attack.error:
        return f"{name}: ERROR {attack.error.splitlines()[-1]}"
    return (
        f"{name}: {attack.caught} of {attack.runs} in {attack.seconds:.1f} s: {attack.found[:110]}"
    )


def _rows(attacks: Iterable[Attack]) -> list[tuple[str, ...]]:
    return [
        (
            attack.mutant.protection,
            attack.mutant.promise,
            attack.mutant.removal.where,
            attack.mutant.test.removeprefix("tests/"),
            f"{attack.caught} of {attack.runs}",
            f"{attack.seconds:.1f}",
        )
        for attack in attacks
        if attack.mutant is not None
    ]


HEADINGS = ("protection removed", "promise", "where", "noticed by", "runs", "seconds")


def _show(attacks: Iterable[Attack], control: Attack) -> None:
    table = Table(*HEADINGS)
    for row in _rows(attacks):
        table.add_row(*row)
    Console(width=200).print(table)


def _write(attacks: Iterable[Attack], control: Attack) -> None:
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---|---|---|---|---|"]
    for name, promise, where, test, runs, seconds in _rows(attacks):
        lines.append(f"| {name} | {promise} | `{where}` | `{test}` | {runs} | {seconds} |")
    lines.append(
        f"| none (the control) | | | `{SIMULATED}` | {control.caught} of {control.runs} "
        f"| {control.seconds:.1f} |"
    )
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + after)
    print(f"written into {PAGE}")


SIMULATED = "simulation/test_pipeline.py::test_everything_that_can_happen"

if __name__ == "__main__":
    sys.exit(main())
