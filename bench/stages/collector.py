"""The collector: taking events from applications, tailing nginx's log, shipping what is spooled,
and answering whether a tenant may go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bench.books import traffic
from bench.contract import About, Measurement, Repetition
from bench.load.client import client
from bench.load.events import Kind
from bench.load.lines import access_log
from bench.metering import PATIENCE_SECONDS, POLL_SECONDS, ends
from bench.site import Ground, Meter, Site
from bench.stages.api import logged
from common.contracts.topics import RECEIVED
from stack.ports import free_port

SPOOL_BYTES = 16 * 2**30


class Collector:
    """One process. While it takes, tails and checks, ingest is away: nothing is shipped."""

    abouts = (
        About(
            name="collector.accept.1",
            family="stages",
            unit="event",
            what="POST /v1/events, 1 event a request, 32 connections: on disk behind an fsync",
            ceilings=("sqlite.commit", "http.fastapi"),
        ),
        About(
            name="collector.accept.500",
            family="stages",
            unit="event",
            what="the same, 500 events a request, 8 connections",
        ),
        About(
            name="collector.check",
            family="stages",
            unit="check",
            what="POST /v1/check, 8 connections, no decision against the tenants",
            ceilings=("http.fastapi", "http.asgi"),
        ),
        About(
            name="collector.ship",
            family="stages",
            unit="event",
            what="a full spool into usage.received, through one ingest process",
            ceilings=("kafka.produce",),
        ),
        About(
            name="collector.tail",
            family="stages",
            unit="line",
            what="an nginx log of 300 bytes a line into the spool",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        async with site.ground("edge", ["ingest"]) as ground:

            async def measure(number: int) -> Mapping[str, Measurement]:
                spool = ground.folder(f"spool-{number}")
                alone = _settings(spool, f"http://127.0.0.1:{free_port()}")
                await ground.start("collector", extra={"collector": alone})
                small = site.scale.small_requests
                found = {
                    "collector.accept.1": await _take(site, ground, "events", small, 1, 32),
                    "collector.check": await _take(site, ground, "checks", small, 1, 8),
                    "collector.accept.500": await _take(
                        site, ground, "events", site.scale.events, 500, 8
                    ),
                }
                await ground.stop("collector")
                found["collector.ship"] = await _ship(site, ground, spool)
                found["collector.tail"] = await _tail(site, ground, number)
                return found

            yield measure


def _settings(spool: Path, ingest_url: str) -> dict[str, str]:
    return {
        "TOLLGATE_SPOOL_DIR": str(spool),
        "TOLLGATE_SPOOL_MAX_BYTES": str(SPOOL_BYTES),
        "TOLLGATE_INGEST_URL": ingest_url,
        "TOLLGATE_NODE": spool.name,
    }


async def _take(
    site: Site, ground: Ground, kind: Kind, events: int, per_request: int, connections: int
) -> Measurement:
    load = traffic(site, events, per_request=per_request, kind=kind)
    before = await _next_seq(ground)
    async with client(ground.url("collector"), load, connections=connections) as ready:
        meter = Meter(site)
        result = await ready.run()
        cpu = meter.cpu_seconds(result.cpu_seconds)
        spooled = await _next_seq(ground) - before
        wanted = 0 if kind == "checks" else ready.sent
        return Measurement(
            units=ready.sent,
            seconds=result.seconds,
            cpu_seconds=cpu,
            latencies_ms={"2xx": result.latencies_ms},
            faults=[] if spooled == wanted else [f"{spooled} of {wanted} are in the spool"],
        )


async def _ship(site: Site, ground: Ground, spool: Path) -> Measurement:
    """Starts a collector on the spool that was filled, with ingest at its side."""
    await ground.start("ingest-api")
    starts = await ends(ground, RECEIVED.name)
    ingest_url = ground.url("ingest-api")
    await ground.start_unready("collector", _settings(spool, ingest_url))
    before = (await _status(ground))["spool"]
    meter = Meter(site)
    await _until(ground, lambda spool: spool["unsent"] == 0)
    seconds, cpu = meter.seconds(), meter.cpu_seconds()
    wanted = before["next_seq"] - 1
    found = await logged(ground, starts)
    await ground.stop("collector", "ingest-api")
    return Measurement(
        units=before["unsent"],
        seconds=seconds,
        cpu_seconds=cpu,
        faults=[] if found == wanted else [f"{found} of {wanted} are in the log"],
    )


async def _tail(site: Site, ground: Ground, number: int) -> Measurement:
    """Starts a collector on a log that is there already."""
    spool = ground.folder(f"tail-{number}")
    lines = site.scale.events // 2
    log = spool / "access.log"
    with log.open("wb") as file:
        begin_ms = time.time_ns() // 1_000_000 - 60_000
        file.writelines(
            access_log(site.next_seed(), lines, begin_ms=begin_ms, tenants=site.scale.tenants)
        )
    alone = _settings(spool, f"http://127.0.0.1:{free_port()}")
    await ground.start_unready("collector", {**alone, "TOLLGATE_NGINX_LOG": str(log)})
    before = (await _status(ground))["spool"]["next_seq"]
    meter = Meter(site)
    await _until(ground, lambda spool: spool["next_seq"] > lines)
    seconds, cpu = meter.seconds(), meter.cpu_seconds()
    spooled = (await _status(ground))["spool"]["next_seq"] - 1
    await ground.stop("collector")
    return Measurement(
        units=max(1, lines + 1 - before),
        seconds=seconds,
        cpu_seconds=cpu,
        faults=[] if spooled == lines else [f"{spooled} of {lines} lines are in the spool"],
    )


async def _next_seq(ground: Ground) -> int:
    return int((await _status(ground))["spool"]["next_seq"])


async def _status(ground: Ground) -> Mapping[str, Mapping[str, int]]:
    """`GET /v1/status`, as soon as the collector answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(base_url=ground.url("collector"), timeout=30) as http:
        while True:
            try:
                answer = await http.get("/v1/status")
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(POLL_SECONDS)
                continue
            answer.raise_for_status()
            found: Mapping[str, Mapping[str, int]] = answer.json()
            return found


async def _until(ground: Ground, condition: Callable[[Mapping[str, int]], bool]) -> None:
    """Asks until the spool is so; TimeoutError when nothing moves."""
    at: tuple[int, int] = (-1, -1)
    moved = time.monotonic()
    async with httpx.AsyncClient(base_url=ground.url("collector"), timeout=30) as http:
        while not condition(spool := (await http.get("/v1/status")).json()["spool"]):
            now = (spool["next_seq"], spool["acked_seq"])
            if now != at:
                at, moved = now, time.monotonic()
            if time.monotonic() - moved > PATIENCE_SECONDS:
                raise TimeoutError(f"the collector stands at {spool}")
            await asyncio.sleep(POLL_SECONDS)
