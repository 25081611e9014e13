"""A database with the kernel's tables, for tests of what common keeps in PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from common.db import create_pool
from common.stream import kernel_tables
from common.usage import usage_tables
from common.usage_days import day_table, folding


@pytest.fixture(scope="session")
def kernel_url(database: Callable[..., Any]) -> str:
    """The DSN of a database with an empty schema for `kernel_schema` to be made in."""
    return str(database().owner_url)


@pytest.fixture
async def pool(kernel_url: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a database whose schema `kernel` has just been made."""
    connection = await asyncpg.connect(kernel_url)
    usage = usage_tables("kernel") + day_table("kernel") + folding("kernel")
    tables = kernel_tables("kernel") + usage
    await connection.execute(
        f"DROP SCHEMA IF EXISTS kernel CASCADE; CREATE SCHEMA kernel; {tables}"
        "CREATE TABLE kernel.things (name text PRIMARY KEY, body text, revision bigint);"
    )
    await connection.close()
    pool = await create_pool(kernel_url, max_size=20)
    yield pool
    await pool.close()
