"""A service waits for its servers when it starts, and does not wait for what cannot heal."""

import asyncpg
import pytest

from common.bus.types import BusError
from common.connect import patiently


class Server:
    """Fails with each of `errors` in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.asked = 0

    async def connect(self) -> str:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return "connected"


async def test_a_server_that_is_away_is_waited_for() -> None:
    server = Server(
        BusError("cannot reach Kafka"),
        ConnectionRefusedError(),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        TimeoutError(),
    )
    assert await patiently(server.connect, "it", pause_seconds_max=0) == "connected"
    assert server.asked == 5


async def test_a_wrong_password_is_told_at_once() -> None:
    server = Server(asyncpg.InvalidPasswordError("wrong"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await patiently(server.connect, "PostgreSQL", pause_seconds_max=0)
    assert server.asked == 1


async def test_patience_ends_with_the_last_reason() -> None:
    server = Server(OSError("first"), OSError("last"))
    with pytest.raises(OSError, match="first"):
        await patiently(server.connect, "PostgreSQL", patience_seconds=0, pause_seconds_max=0)
