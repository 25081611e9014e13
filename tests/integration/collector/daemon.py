"""The collector as a process of its own, started as users start it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.support.eventually import eventually


@asynccontextmanager
async def collector_process(
    directory: Path, port: int, centre_url: str, log: Path | None = None, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tollgate-collector run` as users start it."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "TOLLGATE_PORT": str(port),
        "TOLLGATE_NODE": "edge-1",
        "TOLLGATE_SPOOL_DIR": str(directory / "spool"),
        "TOLLGATE_INGEST_URL": centre_url,
        "TOLLGATE_THROTTLER_URL": centre_url,
        **({"TOLLGATE_NGINX_LOG": str(log)} if log else {}),
        **{f"TOLLGATE_{name.upper()}": value for name, value in settings.items()},
    }
    with (directory / "collector.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "collector.main",
            "run",
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def up() -> bool:
                assert process.returncode is None, (directory / "collector.log").read_text()
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(up, timeout=60)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
