"""Where benchmarks run: one native stack of its own, and on it a fresh ground for each of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql

from bench.load.events import tenant_key
from bench.processes import Processes, used
from bench.profile import profiled
from bench.scale import Scale
from common.bus.kafka import KafkaBus
from stack import prepare, services
from stack.environment import Surroundings
from stack.lifecycle import Stack, remove_tree
from stack.processes import DATABASES, PROCESSES
from stack.program import Program
from stack.servers import Servers


@dataclass
class Site:
    """The servers under `stack`, and how much is to be measured. `say` tells of progress."""

    stack: Stack
    servers: Servers
    scale: Scale
    seed: int
    say: Callable[[str], None]
    profiles: Path | None = None
    """Where profiles go; without it nothing is sampled."""
    serial: int = 0

    def processes(self) -> Processes:
        """Everything that runs here now, and this process."""
        return Processes(self.roots())

    def roots(self) -> dict[str, int]:
        """The ids of the stack's processes, by name."""
        roots = {}
        for name, state in self.stack.supervisor.states().items():
            record = self.stack.supervisor.record_of(name)
            if record is not None and state == "RUNNING":
                roots[name] = record.pid
        return roots

    @contextmanager
    def profiled(self, what: str) -> Iterator[None]:
        """Samples all Python processes meanwhile, if that is wanted."""
        if self.profiles is None:
            yield
            return
        with profiled(self.roots(), self.profiles / f"{what}-{self.serial}"):
            yield

    def tenants(self) -> list[str]:
        """The tenants of all traffic here."""
        return [tenant_key(number) for number in range(self.scale.tenants)]

    def next_seed(self) -> int:
        """Another one for each load, so that no id comes twice."""
        self.serial += 1
        return self.seed * 1_000_000 + self.serial

    @asynccontextmanager
    async def ground(
        self, name: str, services: Sequence[str] = DATABASES
    ) -> AsyncIterator["Ground"]:
        """Topics, folders and the databases of `services`, all unused; all is gone afterwards."""
        self.serial += 1
        name = f"{name}{self.serial}"
        around = self.stack.surroundings(
            self.servers,
            topic_prefix=f"{name}.",
            database_prefix=f"{name}_",
            folder=self.stack.state.services / name,
        )
        async with AsyncExitStack() as closing:
            ground = Ground(self, around, closing)
            await asyncio.to_thread(prepare.prepare_topics, self.servers, around.topic_prefix)
            await asyncio.to_thread(prepare.prepare_databases, around, services)
            closing.push_async_callback(asyncio.to_thread, _forget, self.servers, around)
            closing.push_async_callback(ground.stop)
            ground.bus = KafkaBus(self.servers.kafka, prefix=around.topic_prefix)
            await ground.bus.start()
            closing.push_async_callback(ground.bus.stop)
            yield ground

    async def run_program(self, program: Program) -> None:
        """Starts a program that is no service, and waits until it serves."""
        await asyncio.to_thread(self.stack.supervisor.ensure, program)
        await asyncio.to_thread(self.stack.supervisor.wait_ready, program)

    async def stop_program(self, name: str) -> None:
        await asyncio.to_thread(self.stack.supervisor.stop_programs, [name])


class Meter:
    """CPU time and wall time from its making on."""

    def __init__(self, site: Site) -> None:
        self._processes = site.processes()
        self.restart()

    def restart(self) -> None:
        self._before = self._processes.cpu_seconds()
        self.began = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def cpu_seconds(self, client: float = 0.0) -> dict[str, float]:
        """By process. `client`: what the client says that it used itself."""
        spent = used(self._before, self._processes.cpu_seconds())
        return {"client": client, **spent} if client else spent

    def rss_bytes(self) -> dict[str, int]:
        return dict(self._processes.rss_bytes())


class Ground:
    """Services of one benchmark on topics and databases of their own."""

    bus: KafkaBus

    def __init__(self, site: Site, around: Surroundings, closing: AsyncExitStack) -> None:
        self.site, self.around = site, around
        self._closing = closing
        self._pools: dict[str, asyncpg.Pool] = {}
        self._running: set[str] = set()

    async def start(
        self, *names: str, extra: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """Starts processes (see stack.processes) and waits until they are ready."""
        await asyncio.to_thread(
            services.start,
            self.site.stack.supervisor,
            self.around,
            names=names,
            extra=extra,
            say=_say_nothing,
        )
        self._running |= set(names)

    async def start_unready(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        """Starts a process without waiting: what it does from its first moment on is measured."""
        (each,) = (one for one in PROCESSES if one.name == name)
        made = services.program(each, self.around, extra or {})
        await asyncio.to_thread(self.site.stack.supervisor.ensure, made)
        self._running.add(name)

    async def stop(self, *names: str) -> None:
        """Stops the processes named, or all."""
        wanted = sorted(set(names) or self._running)
        await asyncio.to_thread(self.site.stack.supervisor.stop_programs, wanted)
        self._running -= set(wanted)

    def url(self, name: str) -> str:
        return services.address(self.around, name)

    async def pool(self, service: str) -> asyncpg.Pool:
        """Connections to a service's database, for watching its progress and for filling it."""
        if service not in self._pools:
            pool = await asyncpg.create_pool(self.around.owner_dsn(service), min_size=1, max_size=2)
            self._pools[service] = pool
            self._closing.push_async_callback(pool.close)
        return self._pools[service]

    def folder(self, name: str) -> Path:
        path = self.around.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def _forget(servers: Servers, around: Surroundings) -> None:
    admin = AdminClient({"bootstrap.servers": servers.kafka, "log_level": 0})
    prefix = around.topic_prefix
    topics = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    if topics and not servers.creates_topics_by_itself:
        for deleted in admin.delete_topics(topics, operation_timeout=30).values():
            deleted.result()
    with psycopg.connect(around.postgres, autocommit=True) as connection:
        for service in DATABASES:
            name = sql.Identifier(around.database(service))
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    remove_tree(around.folder)


def _say_nothing(line: str) -> None:
    """What each benchmark starts is not worth a line."""
