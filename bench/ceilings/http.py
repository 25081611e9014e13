"""HTTP alone: an empty FastAPI route and an empty ASGI application, on the services' server."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.contract import About, Measurement, Repetition
from bench.load.client import client
from bench.load.events import Traffic
from bench.site import Meter, Site
from stack.folders import CHECKOUT
from stack.ports import Ports
from stack.program import Program
from stack.readiness import http_answers

CONNECTIONS = 32
PORT_OFFSET = 60


class EmptyRoute:
    """uvicorn with uvloop and httptools, one process; the client that also loads ingest."""

    abouts = (
        About(
            name="http.fastapi",
            family="ceilings",
            unit="request",
            what="POST of one event to an empty FastAPI route, 32 connections, loopback",
        ),
        About(
            name="http.asgi",
            family="ceilings",
            unit="request",
            what="the same without FastAPI: a bare ASGI application",
        ),
    )

    @asynccontextmanager
    async def setup(self, site: Site) -> AsyncIterator[Repetition]:
        programs = {
            "http.fastapi": _program("fastapi", site.stack.ports, PORT_OFFSET),
            "http.asgi": _program("asgi", site.stack.ports, PORT_OFFSET + 1),
        }
        for program in programs.values():
            await site.run_program(program)

        async def measure(_: int) -> Mapping[str, Measurement]:
            return {
                name: await _requests(site, f"http://127.0.0.1:{program.ports[0]}")
                for name, program in programs.items()
            }

        try:
            yield measure
        finally:
            for program in programs.values():
                await site.stop_program(program.name)


async def _requests(site: Site, url: str) -> Measurement:
    traffic = Traffic(
        seed=site.next_seed(),
        events=site.scale.small_requests,
        per_request=1,
        begin_ms=1_800_000_000_000,
        span_ms=1000,
        repeated=0.0,
    )
    async with client(url, traffic, connections=CONNECTIONS) as ready:
        meter = Meter(site)
        result = await ready.run()
        return Measurement(
            units=ready.requests,
            seconds=result.seconds,
            cpu_seconds=meter.cpu_seconds(result.cpu_seconds),
            latencies_ms={"2xx": result.latencies_ms},
        )


def _program(kind: str, ports: Ports, offset: int) -> Program:
    port = ports.base + offset
    return Program(
        name=f"empty-{kind}",
        command=(sys.executable, "-m", "bench.ceilings.empty", kind, str(port)),
        folder=CHECKOUT,
        is_ready=lambda: http_answers(f"http://127.0.0.1:{port}/healthz"),
        ports=(port,),
    )
