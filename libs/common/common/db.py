"""Connections to PostgreSQL."""

import asyncpg
import msgspec

_encoder = msgspec.json.Encoder(decimal_format="string")


async def prepare(connection: asyncpg.Connection) -> None:
    """Make jsonb columns Python values: decimals go in as strings, numbers come out as they are."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + _encoder.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )


_SESSION = {
    "timezone": "UTC",
    "application_name": "tollgate",
    # A process frozen inside a transaction holds its row locks; the server ends it.
    "idle_in_transaction_session_timeout": "15s",
    # Compiling a query takes longer than any of ours: they are short, and estimates of lateral
    # joins are high.
    "jit": "off",
}


async def connect(url: str, *, name: str = "tollgate") -> asyncpg.Connection:
    """One connection, for an owner that must not share it; the database lists it as `name`."""
    connection = await asyncpg.connect(
        url,
        timeout=10,
        command_timeout=60,
        server_settings=_SESSION | {"application_name": name},
    )
    await prepare(connection)
    return connection


async def create_pool(url: str, *, max_size: int = 8) -> asyncpg.Pool:
    """A pool of prepared connections; the database must answer."""
    pool: asyncpg.Pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=max_size,
        timeout=10,
        command_timeout=60,
        server_settings=_SESSION,
        init=prepare,
    )
    return pool


def affected(status: str) -> int:
    """How many rows a command such as "UPDATE 3" touched."""
    return int(status.rsplit(" ", 1)[-1])
