"""`python -m bench`: measure, write bench/results/, and on request docs/performance.md."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bench import machine
from bench.ceilings import CEILINGS
from bench.contract import FAMILIES, Benchmark, Family
from bench.endtoend import END_TO_END
from bench.growth import GROWTH
from bench.publish import publish, write
from bench.run import Findings, run, warm
from bench.scale import SCALES, Scale
from bench.site import Site
from bench.stages import STAGES
from stack.folders import CHECKOUT, State
from stack.lifecycle import Stack
from stack.ports import free_base
from stack.supervisor import StackError
from stack.tuning import LOAD

RESULTS = CHECKOUT / "bench" / "results"
PERFORMANCE = CHECKOUT / "docs" / "performance.md"
SEED = 7
BENCHMARKS: dict[Family, tuple[Benchmark, ...]] = {
    "ceilings": CEILINGS,
    "stages": STAGES,
    "endtoend": END_TO_END,
    "growth": GROWTH,
}


def main(
    scale: Annotated[str, typer.Option(help=f"One of {', '.join(SCALES)}.")] = "full",
    only: Annotated[str, typer.Option(help="Benchmarks whose names begin so, with commas.")] = "",
    seed: Annotated[int, typer.Option(help="Of all events.")] = SEED,
    results: Annotated[Path, typer.Option(help="Folder for the two files.")] = RESULTS,
    profiling: Annotated[
        bool, typer.Option("--profile", help="Sample the processes of whole runs with py-spy.")
    ] = False,
    publishing: Annotated[
        bool, typer.Option("--publish", help="Into docs/performance.md.")
    ] = False,
) -> None:
    """Measure, and write what was found as Markdown and JSON."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    order = Order(
        scale=SCALES[scale],
        benchmarks=chosen(only),
        seed=seed,
        command=_command(scale, only, seed),
        results=results,
        profiles=results / "profiles" if profiling else None,
    )
    try:
        findings, markdown = asyncio.run(measure(order))
    except StackError as error:
        _say(str(error))
        raise typer.Exit(1) from error
    text = markdown.read_text()
    if publishing and not profiling:
        publish(PERFORMANCE, text)
    print(text)
    _say(f"{markdown} and .json, in {time.monotonic() - began:.0f} s")
    if not findings.is_good:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to measure, and where the files go. `profiles`: where profiles go, if any."""

    scale: Scale
    benchmarks: Sequence[Benchmark]
    seed: int
    command: str
    results: Path
    profiles: Path | None


def chosen(only: str) -> list[Benchmark]:
    """The benchmarks, of all families, that have a figure whose name begins as one of `only`; a
    family's name stands for all of it."""
    wanted = [part for part in only.split(",") if part]
    return [
        benchmark
        for family in FAMILIES
        for benchmark in BENCHMARKS[family]
        if not wanted
        or family in wanted
        or any(about.name.startswith(tuple(wanted)) for about in benchmark.abouts)
    ]


async def measure(order: Order) -> tuple[Findings, Path]:
    """Brings the servers up, measures, stops them; nothing is left behind but the two files, which
    are written anew after each benchmark."""
    findings = Findings()
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{order.scale.name}"
    stack = Stack(State(CHECKOUT / ".stack" / "bench"), free_base())
    await asyncio.to_thread(stack.clean)
    try:
        servers = await asyncio.to_thread(stack.start_servers, tuning=LOAD, say=_say)
        site = Site(stack, servers, order.scale, order.seed, _say, order.profiles)
        facts = await asyncio.to_thread(machine.facts, site)

        def keep() -> None:
            write(order.results / stem, findings, facts, order.command)

        await warm(site)
        await run(site, order.benchmarks, findings, keep=keep)
    finally:
        await asyncio.to_thread(stack.clean)
    return findings, order.results / f"{stem}.md"


def _command(scale: str, only: str, seed: int) -> str:
    if scale == "full" and not only and seed == SEED:
        return "make bench"
    words = ["python -m bench", f"--scale {scale}" if scale != "full" else ""]
    words += [f"--only {only}" if only else "", f"--seed {seed}" if seed != SEED else ""]
    return " ".join(filter(None, words))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    typer.run(main)
