"""The client process seen from the benchmark: order, go, result."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.load.events import Traffic, Truth
from stack.folders import CHECKOUT

_LINE_BYTES_MAX = 256 * 2**20


@dataclass(frozen=True)
class Result:
    """What the client saw. `retried`: answers of 503, after which it sent the same again."""

    seconds: float
    cpu_seconds: float
    accepted: int
    retried: int
    latencies_ms: list[float]


class Client:
    """A prepared client. `sent`: elements it will send, repeats too; `truth`: what must be counted
    of them."""

    def __init__(self, process: asyncio.subprocess.Process, prepared: dict[str, Any]) -> None:
        self._process = process
        self.sent = int(prepared["sent"])
        self.requests = int(prepared["requests"])
        self.truth = Truth(prepared["counts"], prepared["sums"])

    async def run(self) -> Result:
        """Sends everything. RuntimeError with its last words when the client fails."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        found = await _line(self._process)
        statuses = {int(status): n for status, n in found["statuses"].items()}
        return Result(
            seconds=found["seconds"],
            cpu_seconds=found["cpu_seconds"],
            accepted=found["accepted"],
            retried=statuses.get(503, 0),
            latencies_ms=found["latencies_ms"],
        )


@asynccontextmanager
async def client(
    url: str,
    traffic: Traffic,
    *,
    connections: int = 16,
    requests_per_second: float | None = None,
) -> AsyncIterator[Client]:
    """A client process with `traffic` prepared; it ends with the context."""
    address = urlsplit(url)
    order = {
        "traffic": asdict(traffic),
        "host": address.hostname,
        "port": address.port,
        "connections": connections,
        "requests_per_second": requests_per_second,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        limit=_LINE_BYTES_MAX,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        yield Client(process, await _line(process))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    if not line:
        said = (await process.stderr.read()).decode(errors="replace").strip()
        raise RuntimeError(f"the client failed: {said.splitlines()[-1] if said else 'no word'}")
    found: dict[str, Any] = json.loads(line)
    return found
