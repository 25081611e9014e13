"""Sends prepared requests over keep-alive connections, and times the answers.

Plain sockets and epoll: some ten microseconds a request, so one process can load a server fully
and leave it the machine. Pacing is open: a request has a due time, and its latency counts from
there, so that a server which stalls is not asked less.
"""

import contextlib
import selectors
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from bench.load.events import Prepared

RETRY_SECONDS = 0.1
"""How long a connection waits after a 503."""
ANSWER_SECONDS = 60.0


@dataclass
class Sent:
    """What came of it. `seconds`: from the first byte out to the last answer. Latencies in ms."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    accepted: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)


class _Connection:
    __slots__ = ("answer", "lane", "paused_until", "request", "rest", "size", "socket", "started")

    def __init__(self, address: tuple[str, int], lane: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.setblocking(False)
        self.lane = lane
        self.request, self.size, self.started = b"", 0, 0.0
        self.rest: memoryview | None = None
        self.answer = b""
        self.paused_until = 0.0


class Sender:
    """Connections to one address. `rate`: requests a second in all, or None for as fast as they
    are answered. Every connection works off one lane, in order."""

    def __init__(
        self,
        address: tuple[str, int],
        prepared: Prepared,
        *,
        connections: int,
        rate: float | None = None,
    ) -> None:
        count = max(connections, len(prepared.lanes)) if len(prepared.lanes) > 1 else connections
        self._lanes = [
            deque(zip(requests, sizes, strict=True))
            for requests, sizes in zip(prepared.lanes, prepared.sizes, strict=True)
        ]
        self._connections = [
            _Connection(address, index % len(self._lanes)) for index in range(count)
        ]
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._rate = rate
        self._handed_out = 0
        self._flying = 0
        self.sent = Sent()
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._idle.append(connection)

    def run(self) -> Sent:
        """Until every request has been answered; TimeoutError when answers stay away."""
        cpu, self._began = time.process_time(), time.perf_counter()
        try:
            while any(self._lanes) or self._flying:
                wait = self._start_what_is_due()
                ready = self._selector.select(wait)
                if not ready and wait == ANSWER_SECONDS and self._flying:
                    raise TimeoutError(f"no answer for {ANSWER_SECONDS:.0f} s")
                for key, events in ready:
                    if events & selectors.EVENT_WRITE:
                        self._write(key.data)
                    if events & selectors.EVENT_READ:
                        self._read(key.data)
        finally:
            for connection in self._connections:
                self._selector.unregister(connection.socket)
                connection.socket.close()
        self.sent.seconds = time.perf_counter() - self._began
        self.sent.cpu_seconds = time.process_time() - cpu
        return self.sent

    def _start_what_is_due(self) -> float:
        """Hands requests to idle connections; how long to wait for the next event, in seconds."""
        now, wait = time.perf_counter(), ANSWER_SECONDS
        still: list[_Connection] = []
        for connection in self._idle:
            lane = self._lanes[connection.lane]
            if not lane:
                continue
            at = connection.paused_until
            if self._rate is not None:
                at = max(at, self._began + self._handed_out / self._rate)
            if at > now:
                wait = min(wait, at - now)
                still.append(connection)
                continue
            due = self._began + self._handed_out / self._rate if self._rate is not None else now
            connection.request, connection.size = lane.popleft()
            connection.started = due
            connection.rest = memoryview(connection.request)
            self._handed_out += 1
            self._flying += 1
            self._write(connection)
        self._idle = still
        return wait

    def _write(self, connection: _Connection) -> None:
        rest = connection.rest
        if rest is None:
            return
        was_whole = len(rest) == len(connection.request)
        with contextlib.suppress(BlockingIOError):
            rest = rest[connection.socket.send(rest) :]
        connection.rest = rest if len(rest) else None
        if connection.rest is not None and was_whole:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(connection.socket, both, connection)
        elif connection.rest is None and not was_whole:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _read(self, connection: _Connection) -> None:
        data = connection.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed a connection")
        answer = connection.answer + data if connection.answer else data
        head = answer.find(b"\r\n\r\n")
        length = _content_length(answer[:head]) if head >= 0 else 0
        if head < 0 or len(answer) < head + 4 + length:
            connection.answer = answer
            return
        connection.answer = b""
        self._answered(connection, int(answer[9:12]), answer[head + 4 :])

    def _answered(self, connection: _Connection, status: int, body: bytes) -> None:
        now = time.perf_counter()
        self._flying -= 1
        self.sent.statuses[status] += 1
        if status == 503:
            self._lanes[connection.lane].appendleft((connection.request, connection.size))
            self._handed_out -= 1
            connection.paused_until = now + RETRY_SECONDS
        elif status != 200:
            raise RuntimeError(f"{status}: {body[:300]!r}")
        else:
            self.sent.latencies_ms.append((now - connection.started) * 1000)
            self.sent.accepted += connection.size
            connection.paused_until = 0.0
        self._idle.append(connection)


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"content-length:")
    if at < 0:
        return 0
    return int(head[at + 15 :].split(b"\r\n", 1)[0])
