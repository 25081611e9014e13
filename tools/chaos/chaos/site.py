"""The place under attack: servers and services as supervised processes, with links between them.

Everything listens on loopback, on ports of this run's own, and ends with it.
"""

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from xmlrpc.client import Fault as RpcFault

import httpx

from chaos import cast
from chaos.link import Link
from chaos.spool import SpoolDisk
from chaos.waiting import until
from common.bus.admin import apply_topics
from stack import choice as choices
from stack import kafka, machine, postgres_wheel, prepare, records, services, timescaledb
from stack.environment import Surroundings
from stack.folders import State
from stack.lifecycle import remove_tree
from stack.ports import Ports
from stack.postgres_settings import superuser_dsn
from stack.processes import Process
from stack.program import Program
from stack.supervisor import DOWN, StackError, Supervisor

SERVERS = ("kafka", "postgres")
READY_SECONDS = 300.0
"""How long a process may take to serve: a busy machine starts sixteen of them slowly."""
PEERS = {"ingest": "ingest-api", "aggregator": "aggregator", "throttler": "throttler"}


class Site:
    """The processes of one run, under `folder`. `start` brings all up, `stop` leaves nothing."""

    def __init__(self, folder: Path, ports: Ports, node_log: Mapping[str, Path]) -> None:
        self.state = State(folder)
        self.ports = ports
        self.around = Surroundings(
            ports, f"127.0.0.1:{ports.kafka}", superuser_dsn(ports.postgres), self.state.services
        )
        self.supervisor = Supervisor(self.state)
        self.links: dict[str, Link] = {}
        self.spools = {name: SpoolDisk(folder / "spools" / name) for name in cast.COLLECTORS}
        self.node_log = node_log
        self._programs: dict[str, Program] = {}
        self._http = httpx.AsyncClient(timeout=3)
        self.is_rolling = False
        """Whether a rolling restart is under way: two of them would only restart each other."""

    # --- up and down -------------------------------------------------------------------------

    def mount_disks(self) -> str | None:
        """Gives each collector a small disk; why it cannot have one, or None."""
        reasons = [spool.mount() for spool in self.spools.values()]
        return next((reason for reason in reasons if reason is not None), None)

    async def start(self) -> tuple[str, ...]:
        """Servers, topics, schemas, services. The reasons for the servers that were chosen."""
        self.state.make()
        await asyncio.to_thread(self.supervisor.start)
        facts = machine.look()
        chosen = choices.choose(facts, choices.parse_wanted("kafka:native"))
        if facts.java is None:
            raise StackError("Kafka needs Java 17 or newer")
        await self._open_links()
        doors = {
            cast.door(self.around, each): self.links[f"kafka>{each.name}"].port
            for each in cast.AT_KAFKA
        }
        broker = await asyncio.to_thread(
            kafka.prepare, self.state, self.ports, facts.java, doors=doors
        )
        server = timescaledb if chosen.postgres == "native" else postgres_wheel
        database = await asyncio.to_thread(server.prepare, self.state, self.ports)
        await self._bring_up([broker, database])
        await apply_topics(self.around.kafka)
        await asyncio.to_thread(prepare.prepare_databases, self.around)
        self.around.folder.mkdir(parents=True, exist_ok=True)
        await self._bring_up([self._program(each) for each in cast.TWINS])
        return chosen.reasons[:2]

    async def stop(self) -> None:
        """Ends all processes, unmounts the spools and removes the folder."""
        await asyncio.to_thread(self.supervisor.stop)
        for link in self.links.values():
            await link.close()
        await self._http.aclose()
        await asyncio.to_thread(self.clean)

    def clean(self) -> None:
        """Also what an earlier run left behind that was killed itself."""
        self.supervisor.stop()
        for spool in self.spools.values():
            spool.unmount()
        for folder in (self.state.root, self.state.outside):
            remove_tree(folder)

    async def _open_links(self) -> None:
        targets = {
            f"kafka>{each.name}": [cast.door(self.around, each)] for each in cast.AT_KAFKA
        } | {f"postgres>{each.name}": [self.ports.postgres] for each in cast.AT_KAFKA}
        for peer in PEERS:
            ports = [
                self.around.ports.service(cast.BY_NAME[name].offset)
                for name in cast.of_service(peer)
            ]
            for name in (*cast.COLLECTORS, "services"):
                targets[f"{peer}>{name}"] = ports
        for name, ports in targets.items():
            self.links[name] = Link(name, ports)
            await self.links[name].open()

    async def _bring_up(self, programs: list[Program]) -> None:
        def up() -> None:
            for program in programs:
                self._programs[program.name] = program
                self.supervisor.ensure(program)
            with ThreadPoolExecutor(max_workers=len(programs)) as together:
                list(together.map(self.supervisor.wait_ready, programs))

        await asyncio.to_thread(up)

    # --- programs ----------------------------------------------------------------------------

    def _program(self, process: Process, more: Mapping[str, str] | None = None) -> Program:
        extra = {"TOLLGATE_LEASE_SECONDS": str(cast.LEASE_SECONDS), "TOLLGATE_LOG_LEVEL": "INFO"}
        via = process.name if process.service == "collector" else "services"
        for peer in PEERS:
            address = self.links[f"{peer}>{via}"].address
            extra[f"TOLLGATE_{peer.upper()}_URL"] = f"http://{address}"
        if process.service == "collector":
            extra |= {
                "TOLLGATE_NODE": process.name.replace("collector", "edge"),
                "TOLLGATE_SPOOL_DIR": str(self.spools[process.name].folder),
                "TOLLGATE_SPOOL_MIN_FREE_BYTES": "0",
                "TOLLGATE_SHIP_TIMEOUT_SECONDS": "5",
                "TOLLGATE_NGINX_LOG": str(self.node_log[process.name]),
                "TOLLGATE_NGINX_ROTATED_PATIENCE_SECONDS": "20",
            }
        else:
            link = self.links[f"postgres>{process.name}"]
            dsn = self.around.service_dsn(process.service)
            extra |= {
                "TOLLGATE_KAFKA": self.links[f"kafka>{process.name}"].address,
                "TOLLGATE_DATABASE_URL": dsn.replace(f":{self.ports.postgres}/", f":{link.port}/"),
            }
        program = services.program(process, self.around, extra | dict(more or {}))
        return replace(program, start_seconds=int(READY_SECONDS))

    def url(self, name: str) -> str:
        """The address of a process, past all links."""
        return f"http://127.0.0.1:{self.ports.service(cast.BY_NAME[name].offset)}"

    def set_environment(self, name: str, more: Mapping[str, str]) -> None:
        """What the process's next life is started with, beside what it always gets."""
        text = self._program(cast.BY_NAME[name], more).specification()
        path = self.state.programs / f"{name}.json"
        making = path.with_suffix(".next")
        making.write_text(text)
        making.replace(path)

    def send(self, name: str, number: signal.Signals) -> int | None:
        """Signals the process; its id, or None when there is none now."""
        try:
            return records.send_signal(self.supervisor.record_of(name), number)
        except ProcessLookupError:
            return None

    async def restart(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process by a signal and waits until its next life is ready."""
        before = self.send(name, number)

        async def is_back() -> bool:
            record = self.supervisor.record_of(name)
            alive = record is not None and records.process_of(record) is not None
            return (
                alive and record is not None and record.pid != before and await self._is_ready(name)
            )

        await until(is_back, f"restart of {name}", seconds=READY_SECONDS)

    async def _is_ready(self, name: str) -> bool:
        if name in SERVERS:
            return await asyncio.to_thread(self._programs[name].is_ready)
        try:
            answer = await self._http.get(f"{self.url(name)}/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK

    async def run_spare(self, name: str) -> None:
        """Starts one more process."""
        program = self._program(cast.BY_NAME[name])
        self._programs[name] = program
        await asyncio.to_thread(self.supervisor.ensure, program)

    async def stop_process(self, name: str) -> None:
        """Stops a process, which stays down."""
        await asyncio.to_thread(self.supervisor.stop_programs, [name])

    async def run_again(self, name: str) -> None:
        """Starts a stopped process."""
        await self.run_spare(name)

    async def all_ready(self) -> None:
        """Returns when everything that should run has said that it is ready; starts what the
        supervisor gave up on. TimeoutError names what does not come back.

        Not all at one moment: on a busy machine one of twenty answers is always late."""
        wanted = [*SERVERS, *(each.name for each in cast.TWINS)]
        waiting = list(wanted)

        async def ready() -> bool:
            await asyncio.to_thread(self._start_what_is_down, wanted)
            are_ready = await asyncio.gather(*(self._is_ready(name) for name in waiting))
            waiting[:] = [name for name, is_so in zip(waiting, are_ready, strict=True) if not is_so]
            return not waiting

        try:
            await until(ready, "everything to be ready after the faults", seconds=READY_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {', '.join(waiting)}") from error

    def _start_what_is_down(self, names: Iterable[str]) -> None:
        states = self.supervisor.states()
        for name in names:
            if states.get(name, "STOPPED") in DOWN:
                with contextlib.suppress(RpcFault, StackError):
                    self.supervisor.ensure(self._programs[name])

    def keep_logs(self, folder: Path) -> None:
        """Copies all logs, for whoever looks into a failure."""
        shutil.rmtree(folder, ignore_errors=True)
        if self.state.logs.exists():
            shutil.copytree(self.state.logs, folder)

    def about(self) -> str:
        """Where what listens, as JSON."""
        links = {name: link.port for name, link in self.links.items()}
        return json.dumps({"base_port": self.ports.base, "links": links}, indent=1)
