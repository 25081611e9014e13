"""A link between two processes: a TCP proxy that can be cut, slowed down, or made deaf.

In every state it keeps listening, on the port that it got when it was opened.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Literal

Mode = Literal["open", "cut", "silent", "deaf", "slow"]
CHUNK_BYTES = 65_536


class Link:
    """Forwards connections to the first of `targets` (ports on loopback) that answers, each
    connection beginning with the next one in turn.

    `open`: bytes pass. `cut`: connections are reset, new ones as well. `silent`: bytes of both
    directions vanish, as behind a firewall that drops packets. `deaf`: requests arrive, and their
    answers vanish, so that what was done is done and nobody knows. `slow`: every piece waits.
    A connection that lost bytes is reset when the link is opened again: it can never be whole.
    """

    def __init__(self, name: str, targets: Sequence[int]) -> None:
        self.name = name
        self.mode: Mode = "open"
        self.port = 0
        self._targets = list(targets)
        self._turn = 0
        self._delay_seconds = 0.0
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for connection in self._connections for task in connection.tasks]
        for connection in list(self._connections):
            connection.reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    def set(self, mode: Mode, *, delay_seconds: float = 0.0) -> None:
        """Changes the state, also of connections that are open."""
        self.mode, self._delay_seconds = mode, delay_seconds
        for connection in list(self._connections):
            if mode == "cut" or (connection.lost_bytes and mode in ("open", "slow")):
                connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "cut":
            writer.transport.abort()
            return
        connection = _Connection(writer)
        self._connections.add(connection)
        try:
            upstream = await self._connect()
        except OSError:
            connection.reset()
            self._connections.discard(connection)
            return
        connection.upstream = upstream[1]
        ends = ((reader, upstream[1], "up"), (upstream[0], writer, "down"))
        connection.tasks = [
            asyncio.create_task(self._pump(connection, source, sink, down=direction == "down"))
            for source, sink, direction in ends
        ]
        for task in connection.tasks:
            task.add_done_callback(lambda _: self._forget(connection))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._turn += 1
        problem: OSError | None = None
        for step in range(len(self._targets)):
            port = self._targets[(self._turn + step) % len(self._targets)]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError as error:
                problem = error
        raise problem or OSError("no targets")

    async def _pump(
        self,
        connection: "_Connection",
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        down: bool,
    ) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                if self.mode == "slow":
                    await asyncio.sleep(self._delay_seconds)
                if self.mode == "silent" or (self.mode == "deaf" and down):
                    connection.lost_bytes = True
                    continue
                if not connection.lost_bytes:
                    sink.write(data)
                    await sink.drain()
            with contextlib.suppress(OSError, RuntimeError):
                sink.write_eof()
        except OSError:
            connection.reset()

    def _forget(self, connection: "_Connection") -> None:
        if all(task.done() for task in connection.tasks):
            connection.close()
            self._connections.discard(connection)


class _Connection:
    """A client's connection and the one made for it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.upstream: asyncio.StreamWriter | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.lost_bytes = False

    def close(self) -> None:
        """Both sides, when what was written to them has been sent."""
        for writer in (self.client, self.upstream):
            if writer is not None:
                writer.close()

    def reset(self) -> None:
        for writer in (self.client, self.upstream):
            if writer is not None:
                writer.transport.abort()
