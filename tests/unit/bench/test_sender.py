"""The client against a server that answers as it is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from bench.load.events import Prepared, Traffic, prepare
from bench.load.sender import Sender

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n" + b'{"accepted":1}'
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def server(answer: Callable[[int], list[bytes]]) -> Iterator[tuple[str, int]]:
    """A server on loopback; `answer` gives the pieces in which the n-th answer is written."""
    numbers = iter(range(1_000_000))
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        reading = connection.makefile("rb")
        with connection, reading:
            while (size := _body_size(reading)) is not None:
                reading.read(size)
                with lock:
                    pieces = answer(next(numbers))
                for piece in pieces:
                    connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()


def _body_size(reading: BinaryIO) -> int | None:
    """The Content-Length of the next request, whose head is read; None at the end."""
    size = None
    while (line := reading.readline()) not in (b"", b"\r\n"):
        if line.startswith(b"Content-Length: "):
            size = int(line.split()[1])
    return size


def prepared(requests: int, per_request: int = 1) -> Prepared:
    return prepare(
        Traffic(
            seed=1,
            events=requests * per_request,
            per_request=per_request,
            begin_ms=0,
            span_ms=1,
            repeated=0.0,
        )
    )


def test_every_request_is_answered_once_and_timed() -> None:
    with server(lambda _: [OK]) as address:
        sent = Sender(address, prepared(200), connections=4).run()
    assert sent.statuses == {200: 200}
    assert sent.accepted == 200
    assert len(sent.latencies_ms) == 200
    assert min(sent.latencies_ms) > 0


def test_a_large_body_and_an_answer_in_pieces_arrive_whole() -> None:
    with server(lambda _: [OK[:9], OK[9:45], OK[45:]]) as address:
        sent = Sender(address, prepared(3, per_request=20_000), connections=2).run()
    assert sent.accepted == 60_000


def test_a_503_is_sent_again_and_counted() -> None:
    with server(lambda n: [BUSY if n < 3 else OK]) as address:
        sent = Sender(address, prepared(20), connections=2).run()
    assert sent.statuses == {503: 3, 200: 20}
    assert sent.accepted == 20


def test_another_answer_ends_the_run() -> None:
    refused = b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 3\r\n\r\nbad"
    with (
        server(lambda _: [refused]) as address,
        pytest.raises(RuntimeError, match="422: b'bad'"),
    ):
        Sender(address, prepared(1), connections=1).run()


def test_paced_requests_keep_their_rate_and_are_timed_from_when_they_were_due() -> None:
    with server(lambda _: [OK]) as address:
        sent = Sender(address, prepared(50), connections=2, rate=500.0).run()
    assert sent.seconds >= 49 / 500
    assert sent.accepted == 50
