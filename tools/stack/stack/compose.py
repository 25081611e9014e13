"""Servers, or the whole product, in Docker by docker-compose.yml at the checkout's root."""

import hashlib
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from stack.environment import SERVICES
from stack.folders import CHECKOUT, State
from stack.ports import Ports
from stack.readiness import http_answers, wait_until
from stack.supervisor import StackError


def project(ports: Ports) -> str:
    return f"tollgate-{ports.base}"


def environment(ports: Ports) -> dict[str, str]:
    """The variables that docker-compose.yml reads: every published port of this checkout."""
    published = {
        f"TOLLGATE_{name.upper()}_PORT": ports.service(i) for i, name in enumerate(SERVICES)
    }
    published |= {"TOLLGATE_KAFKA_PORT": ports.kafka, "TOLLGATE_POSTGRES_PORT": ports.postgres}
    return {name: str(port) for name, port in published.items()}


def start_servers(
    state: State, ports: Ports, names: Iterable[str], say: Callable[[str], None]
) -> None:
    """Starts the named servers in Docker and waits for their health checks."""
    wanted = list(names)
    say(f"{', '.join(wanted)}: starting in Docker")
    run(state, ports, "up", "--detach", "--wait", *wanted)


def stop(state: State, ports: Ports, *, forget: bool = False) -> None:
    run(state, ports, "down", *(["--volumes"] if forget else []))


def run(state: State, ports: Ports, *arguments: str) -> str:
    """`docker compose` for this checkout's project; its output. StackError when it fails."""
    command = [
        *("docker", "compose", "--project-name", project(ports)),
        *("--file", str(CHECKOUT / "docker-compose.yml")),
        *arguments,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        env=os.environ | environment(ports) | access(state),
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-800:]
        raise StackError(f"docker compose {' '.join(arguments)}: {said}")
    return done.stdout.decode(errors="replace")


def up(state: State, ports: Ports, say: Callable[[str], None]) -> None:
    """Builds the images and starts servers and services in Docker; done when all are ready.

    Not with compose's own --wait: it takes the end of a one-off container for a failure.
    """
    say("everything in Docker: building the images and starting")
    run(state, ports, "up", "--detach", "--build")
    for number in range(len(SERVICES)):
        address = f"http://127.0.0.1:{ports.service(number)}/readyz"
        wait_until(
            lambda address=address: http_answers(address),  # type: ignore[misc]
            what=address,
            timeout_seconds=180,
        )
    say(f"services at 127.0.0.1:{ports.base}..{ports.base + 5}; token in {token_file(state)}")


def token_file(state: State) -> Path:
    return state.root / "compose-token"


def access(state: State) -> dict[str, str]:
    """The bearer token of the services in Docker, which listen on more than loopback."""
    path = token_file(state)
    state.make()
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    token = path.read_text()
    digest = hashlib.sha256(token.encode()).hexdigest()
    return {"TOLLGATE_AUTH_TOKENS": json.dumps({digest: ["*"]}), "TOLLGATE_PEER_TOKEN": token}
