"""Servers, or the whole product, in Docker by docker-compose.yml at the checkout's root."""

import os
import subprocess
from collections.abc import Callable, Iterable

from stack.folders import CHECKOUT
from stack.ports import Ports
from stack.supervisor import StackError


def project(ports: Ports) -> str:
    return f"tollgate-{ports.base}"


def environment(ports: Ports) -> dict[str, str]:
    """The variables that docker-compose.yml reads: every published port of this checkout."""
    services = ("COLLECTOR", "INGEST", "AGGREGATOR", "RATING", "INVOICER", "THROTTLER")
    published = {f"TOLLGATE_{name}_PORT": ports.service(i) for i, name in enumerate(services)}
    published |= {"TOLLGATE_KAFKA_PORT": ports.kafka, "TOLLGATE_POSTGRES_PORT": ports.postgres}
    return {name: str(port) for name, port in published.items()}


def start_servers(ports: Ports, names: Iterable[str], say: Callable[[str], None]) -> None:
    """Starts the named servers in Docker and waits for their health checks."""
    wanted = list(names)
    say(f"{', '.join(wanted)}: starting in Docker")
    run(ports, "up", "--detach", "--wait", *wanted)


def stop(ports: Ports, *, forget: bool = False) -> None:
    run(ports, "down", *(["--volumes"] if forget else []))


def run(ports: Ports, *arguments: str) -> str:
    """`docker compose` for this checkout's project; its output. StackError when it fails."""
    command = [
        *("docker", "compose", "--project-name", project(ports)),
        *("--file", str(CHECKOUT / "docker-compose.yml")),
        *arguments,
    ]
    done = subprocess.run(
        command, capture_output=True, env=os.environ | environment(ports), check=False
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-800:]
        raise StackError(f"docker compose {' '.join(arguments)}: {said}")
    return done.stdout.decode(errors="replace")
