"""One stack, from nothing to running and back: what the command, the tests and the demo use."""

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stack import choice as choices
from stack import compose, debian, machine, prepare, servers, services
from stack.choice import Choice
from stack.environment import Surroundings
from stack.folders import State
from stack.machine import Machine
from stack.ports import Ports
from stack.postgres_settings import superuser_dsn
from stack.servers import PARTS, Servers
from stack.supervisor import StackError, Supervisor
from stack.tuning import LAPTOP, Tuning


class Stack:
    """The servers and services that run under one state folder on one range of ports."""

    def __init__(self, state: State | None = None, ports: Ports | None = None) -> None:
        self.state = state or State()
        self.ports = ports or _ports(self.state)
        self.supervisor = Supervisor(self.state)

    def start_servers(
        self,
        *,
        wanted: str | None = None,
        parts: Collection[str] = PARTS,
        tuning: Tuning = LAPTOP,
        say: Callable[[str], None] = print,
    ) -> Servers:
        """Brings up the servers that are missing. `wanted` is STACK's value (default: the
        environment's); without one, what runs already is kept."""
        wanted = os.environ.get("STACK", "") if wanted is None else wanted
        for name in self.supervisor.start():
            say(f"ended {name}, left behind by an earlier run")
        known = servers.load(self.state)
        facts = machine.look()
        asked = choices.parse_wanted(wanted)
        if known is not None and (not asked or _agrees(known, asked)):
            chosen = known.choice
        elif known is not None and self.supervisor.states():
            raise StackError(
                f"Kafka {known.choice.kafka} and PostgreSQL {known.choice.postgres} run already; "
                f"`make down` before STACK={wanted}"
            )
        else:
            chosen = choices.choose(facts, asked)
        chosen = _with_tools(chosen, facts, must="edge" in asked, say=say)
        for reason in chosen.reasons:
            say(reason)
        return servers.start(
            self.supervisor,
            self.state,
            self.ports,
            chosen,
            java=facts.java,
            parts=parts,
            may_fall_back=not asked,
            tuning=tuning,
            say=say,
        )

    def servers(self) -> Servers | None:
        """The servers that were started last, whether or not they still run."""
        return servers.load(self.state)

    def surroundings(self, running: Servers, **changes: Any) -> Surroundings:
        """What this stack's processes share; `changes` are fields of Surroundings."""
        around = Surroundings(self.ports, running.kafka, running.postgres, self.state.services)
        return replace(around, **changes)

    def start_services(
        self,
        around: Surroundings,
        running: Servers,
        *,
        names: Collection[str] | None = None,
        extra: Mapping[str, Mapping[str, str]] | None = None,
        say: Callable[[str], None] = print,
    ) -> list[str]:
        """Topics, schemas, then the processes that are missing; returns when all are ready."""
        prepare.prepare_topics(running, around.topic_prefix)
        prepare.prepare_databases(around)
        say("topics and schemas: up to date")
        return services.start(self.supervisor, around, names=names, extra=extra, say=say)

    def start_in_docker(self, say: Callable[[str], None] = print) -> Servers:
        """Servers and services from docker-compose.yml."""
        self.state.make()
        compose.up(self.state, self.ports, say)
        running = servers.Servers(
            choices.Choice("compose", "compose", "asgi", ("all parts: in Docker",)),
            f"127.0.0.1:{self.ports.kafka}",
            superuser_dsn(self.ports.postgres),
            self.ports.base,
        )
        servers.save(self.state, running)
        return running

    def kill(self, name: str) -> int:
        """SIGKILL to a process by its recorded id, which is returned."""
        return services.kill(self.supervisor, name)

    def down(self, *, forget: bool = False) -> None:
        """Stops everything, also what a crashed run left behind; the data stays. `forget` takes
        Docker's volumes away too."""
        known = servers.load(self.state)
        self.supervisor.stop()
        if known is not None and "compose" in (known.choice.kafka, known.choice.postgres):
            compose.stop(self.state, self.ports, forget=forget)

    def clean(self) -> None:
        """Stops everything and removes the state; downloads in the cache folder stay."""
        self.down(forget=True)
        for folder in (self.state.root, self.state.outside):
            remove_tree(folder)


def _ports(state: State) -> Ports:
    """TOLLGATE_BASE_PORT's, else those that this stack was started with, else the default."""
    known = servers.load(state)
    if known is not None and not os.environ.get("TOLLGATE_BASE_PORT", "").strip():
        return Ports(known.base_port)
    return Ports.from_environment()


def _with_tools(
    chosen: Choice, facts: Machine, *, must: bool, say: Callable[[str], None]
) -> Choice:
    """Installs the programs of a chosen nginx edge that Debian has and this machine lacks."""
    missing = facts.missing_packages()
    if chosen.edge != "nginx" or not missing or not (facts.root and facts.debian):
        return chosen
    say(f"installing from Debian: {', '.join(missing)}")
    try:
        debian.install(missing)
    except StackError as error:
        if must or (facts.nginx and facts.load_generator):
            say(str(error))
            return chosen
        say(f"edge: {error}; falling back to the ASGI upstream")
        return replace(chosen, edge="asgi")
    return chosen


def _agrees(known: Servers, asked: dict[str, choices.Kind]) -> bool:
    running = {"kafka": known.choice.kafka, "postgres": known.choice.postgres}
    return all(running[part] == kind for part, kind in asked.items() if part in running)


def remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
