"""Idempotency-Key: a POST that creates does so once, however often it is sent."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from common.errors import CONFLICT, ApiError
from common.idempotency import REPLAYED, once

pytestmark = pytest.mark.servers


class Shop:
    """Creates a row a call, slowly."""

    def __init__(self, fails: int = 0) -> None:
        self.calls, self._fails = 0, fails

    async def create(self, tx: Any) -> tuple[int, Any]:
        self.calls += 1
        await tx.execute("INSERT INTO kernel.things VALUES ($1, '', 1)", f"n{self.calls}")
        await asyncio.sleep(0.05)
        if self._fails:
            self._fails -= 1
            raise ApiError(CONFLICT, "not now")
        return 201, {"id": self.calls, "name": "ß", "none": None}


async def count(pool: asyncpg.Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM kernel.things"))


async def test_the_same_key_and_body_get_the_same_answer(pool: asyncpg.Pool) -> None:
    shop = Shop()
    first = await once(pool, "kernel", "buy", "k1", {"a": 1, "b": 2}, shop.create)
    again = await once(pool, "kernel", "buy", "k1", {"b": 2, "a": 1}, shop.create)

    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(bytes(first.body)) == json.loads(bytes(again.body))
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert await count(pool) == shop.calls == 1


async def test_many_at_once_create_one(pool: asyncpg.Pool) -> None:
    shop = Shop()
    answers = await asyncio.gather(
        *(once(pool, "kernel", "buy", "k", {"a": 1}, shop.create) for _ in range(10))
    )
    assert len({bytes(answer.body) for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 9
    assert await count(pool) == shop.calls == 1


async def test_the_same_key_with_another_body_is_refused(pool: asyncpg.Pool) -> None:
    shop = Shop()
    await once(pool, "kernel", "buy", "k", {"a": 1}, shop.create)
    with pytest.raises(ApiError, match="idempotency_key_reused"):
        await once(pool, "kernel", "buy", "k", {"a": 2}, shop.create)
    assert await count(pool) == 1


async def test_the_key_of_another_operation_is_another_key(pool: asyncpg.Pool) -> None:
    shop = Shop()
    await once(pool, "kernel", "buy", "k", {"a": 1}, shop.create)
    await once(pool, "kernel", "sell", "k", {"a": 2}, shop.create)
    assert await count(pool) == 2


async def test_a_failure_leaves_no_trace(pool: asyncpg.Pool) -> None:
    shop = Shop(fails=1)
    with pytest.raises(ApiError, match="conflict"):
        await once(pool, "kernel", "buy", "k", {"a": 1}, shop.create)
    assert await count(pool) == 0

    answer = await once(pool, "kernel", "buy", "k", {"a": 2}, shop.create)
    assert (answer.status_code, REPLAYED in answer.headers) == (201, False)


async def test_without_a_key_every_request_creates(pool: asyncpg.Pool) -> None:
    shop = Shop()
    for _ in range(2):
        await once(pool, "kernel", "buy", None, {"a": 1}, shop.create)
    assert await count(pool) == 2
