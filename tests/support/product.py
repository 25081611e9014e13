"""The whole product as processes under a supervisor, on ports, topics and databases of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from stack import prepare, services
from stack.environment import Surroundings
from stack.folders import State
from stack.lifecycle import remove_tree
from stack.ports import free_base
from stack.processes import PROCESSES
from stack.supervisor import Supervisor


class Product:
    """The six services, ingest as two processes, and the way to kill them."""

    def __init__(self, supervisor: Supervisor, around: Surroundings) -> None:
        self._supervisor, self._around = supervisor, around

    def url(self, name: str) -> str:
        """The address of a process (see stack.processes)."""
        return services.address(self._around, name)

    async def kill(self, name: str) -> None:
        """SIGKILL a process and wait until the supervisor's next one is ready."""
        killed = services.kill(self._supervisor, name)
        await asyncio.to_thread(
            services.wait_restarted, self._supervisor, name, killed, base_url=self.url(name)
        )


@asynccontextmanager
async def product(
    *,
    kafka: str,
    postgres: str,
    topic_prefix: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Product]:
    """Bring it up on running servers; topics under `topic_prefix` exist. All ends with it.

    `environment` is added to that of every process.
    """
    state = State(folder)
    state.make()
    supervisor = Supervisor(state)
    name = topic_prefix.rstrip(".")
    around = Surroundings(
        free_base(),
        kafka,
        postgres,
        folder / "services",
        topic_prefix=topic_prefix,
        database_prefix=f"{name}_",
    )
    try:
        await asyncio.to_thread(supervisor.start)
        await asyncio.to_thread(prepare.prepare_databases, around)
        extra = {process.name: environment or {} for process in PROCESSES}
        await asyncio.to_thread(services.start, supervisor, around, extra=extra, say=_say_nothing)
        yield Product(supervisor, around)
    finally:
        await asyncio.to_thread(supervisor.stop)
        remove_tree(folder)
        remove_tree(state.outside)


def _say_nothing(line: str) -> None:
    """Tests do not tell of progress."""
