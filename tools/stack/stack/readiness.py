"""Whether a server answers, asked once; and waiting until it does, never for a fixed time."""

import socket
import time
from collections.abc import Callable

import httpx
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POLL_SECONDS = 0.05


def wait_until(
    condition: Callable[[], bool],
    *,
    what: str,
    timeout_seconds: float,
    give_up: Callable[[], str | None] = lambda: None,
) -> None:
    """Polls `condition`. `give_up` may end the waiting early with the reason it returns.

    Raises TimeoutError, with what was awaited, when the time is over or waiting became senseless.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        reason = give_up()
        if reason is not None:
            raise TimeoutError(f"{what}: {reason}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:g} s")
        time.sleep(POLL_SECONDS)


def port_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def kafka_answers(bootstrap: str) -> bool:
    """Whether the broker answers a metadata request with at least one broker."""
    if not port_answers(int(bootstrap.rpartition(":")[2])):
        return False
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def postgres_answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
            return True
    except psycopg.Error:
        return False


def http_answers(url: str) -> bool:
    """Whether the address answers 200 now; anything else, also a refused connection, is no."""
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
