"""A tiny bench of each family, on the session's servers: every benchmark runs, its sums are exact,
both files are written, and nothing is left behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from bench import machine
from bench.ceilings import CEILINGS
from bench.contract import Benchmark
from bench.endtoend import END_TO_END
from bench.growth import GROWTH
from bench.publish import write
from bench.run import Findings, run
from bench.scale import TINY
from bench.site import Site
from bench.stages import STAGES
from stack.choice import Choice, Kind
from stack.folders import State
from stack.lifecycle import Stack
from stack.ports import free_base
from stack.servers import Servers
from tests.support.servers import SessionServers

BENCHMARKS: tuple[Benchmark, ...] = (*CEILINGS, *STAGES, *END_TO_END, *GROWTH)


@pytest.fixture
async def site(servers: SessionServers, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a supervisor of its own on the session's servers."""
    stack = Stack(State(tmp_path / "bench"), free_base())
    stack.supervisor.start()
    kafka: Kind = "native" if servers.kafka_is_real else "embedded"
    running = Servers(
        Choice(kafka, "native", "nginx", ()), servers.kafka(), servers.postgres(), stack.ports.base
    )
    yield Site(stack, running, TINY, seed=1, say=print)
    stack.clean()


@pytest.mark.servers
@pytest.mark.timeout(900)
async def test_a_tiny_bench_of_every_family_is_exact_and_writes_both_files(
    site: Site, postgres: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres) as connection:
        before = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    findings = Findings()
    await run(site, BENCHMARKS, findings)
    file = tmp_path / "results" / "run"
    write(file, findings, machine.facts(site), "make bench")
    body = json.loads(file.with_suffix(".json").read_text())
    assert body["failures"] == {}
    assert {fault for row in body["rows"] for fault in row["faults"]} == set()
    wanted = {about.name for benchmark in BENCHMARKS for about in benchmark.abouts}
    assert {row["name"] for row in body["rows"]} == wanted
    for name in wanted:
        assert f"`{name}`" in file.with_suffix(".md").read_text()
    with psycopg.connect(postgres) as connection:
        found = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    assert found == before, "a database was left behind"
    assert "RUNNING" not in site.stack.supervisor.states().values()
