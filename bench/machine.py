"""What the figures were measured on, and with: facts for the head of a report."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil
import psycopg

from bench.site import Site
from stack.folders import CHECKOUT
from stack.kafka_jars import KAFKA_VERSION

LIBRARIES = (
    "aiokafka",
    "asyncpg",
    "cramjam",
    "fastapi",
    "httptools",
    "msgspec",
    "uvicorn",
    "uvloop",
    "zstandard",
)


def facts(site: Site) -> dict[str, Any]:
    """JSON-ready. Nothing in it names the host or a path."""
    memory = psutil.virtual_memory()
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(),
        "scale": site.scale.name,
        "seed": site.seed,
        "repetitions": site.scale.repetitions,
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory.total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION if site.servers.choice.kafka != "embedded" else "mock broker",
        "postgres": _postgres_version(site),
        "servers": [*site.servers.choice.reasons],
        "libraries": {name: version(name) for name in LIBRARIES},
        "load_before": [round(one, 2) for one in os.getloadavg()],
    }


def revision() -> str:
    """The commit, with "+changes" when the checkout differs from it."""
    head = _git("rev-parse", "--short=10", "HEAD")
    return f"{head}+changes" if _git("status", "--porcelain", "-uno") else head


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=CHECKOUT, check=False
        )
    except OSError:
        return "unknown"
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _postgres_version(site: Site) -> str:
    with psycopg.connect(site.servers.postgres) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    timescale = " with TimescaleDB (Apache edition)" if site.servers.timescaledb else ""
    return f"{row[0] if row else 'unknown'}{timescale}"
