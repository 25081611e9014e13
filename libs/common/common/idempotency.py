"""Idempotency-Key: a POST that creates does so once, however often it is sent.

The key, a digest of the body, and the answer are stored in the transaction that creates. The
same key with the same body gets the same answer (and `Idempotency-Replayed: true`); with another
body it is an error.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated, Any

import asyncpg
import msgspec
from fastapi import Header
from starlette.responses import JSONResponse, Response

from common.errors import IDEMPOTENCY_MISMATCH, ApiError

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Sent again with the same body, the request has no further effect.",
    ),
]
REPLAYED = "Idempotency-Replayed"

Create = Callable[[Any], Awaitable[tuple[int, Any]]]
"""Given the transaction, creates and returns (status, JSON body)."""


async def once(
    pool: asyncpg.Pool, schema: str, operation: str, key: str | None, request: Any, create: Create
) -> Response:
    """Run `create` in a transaction, at most once a (`operation`, `key`).

    `request`: the JSON value of the body. Without a key it simply runs. `create` failing with an
    `ApiError` leaves no trace of the key.
    """
    async with pool.acquire() as connection, connection.transaction():
        if key is None:
            status, body = await create(connection)
            return JSONResponse(body, status)
        digest = sha256(msgspec.json.encode(request, order="deterministic")).digest()
        # A concurrent request with the same key waits here until the first has committed.
        inserted = await connection.fetchval(
            f"""
            INSERT INTO {schema}.idempotency_keys (operation, key, digest)
            VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
            RETURNING true
            """,
            operation,
            key,
            digest,
        )
        if inserted:
            status, body = await create(connection)
            await connection.execute(
                f"""
                UPDATE {schema}.idempotency_keys
                SET status = $3, response = $4
                WHERE operation = $1 AND key = $2
                """,
                operation,
                key,
                status,
                body,
            )
            return JSONResponse(body, status)
        stored: Any = await connection.fetchrow(
            f"""
            SELECT digest, status, response
            FROM {schema}.idempotency_keys
            WHERE operation = $1 AND key = $2
            """,
            operation,
            key,
        )
    if stored["digest"] != digest:
        raise ApiError(IDEMPOTENCY_MISMATCH, f"key {key} was used with another body")
    return JSONResponse(stored["response"], stored["status"], headers={REPLAYED: "true"})
