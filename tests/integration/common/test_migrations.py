"""Migrations: the service's role may use its tables and nothing more; twice is once."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from common.migrations import migrate

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def rating(database: Callable[..., Any]) -> Any:
    return database("rating")


async def test_the_role_may_read_and_write_but_not_alter(rating: Any) -> None:
    connection = await asyncpg.connect(rating.service_url)
    try:
        await connection.execute(
            "INSERT INTO rating.workers VALUES ('t', 'w', now());"
            "UPDATE rating.workers SET worker = 'v';"
            "DELETE FROM rating.workers"
        )
        for forbidden in (
            "ALTER TABLE rating.workers ADD COLUMN more text",
            "DROP TABLE rating.workers",
            "CREATE TABLE rating.mine (a text)",
            "TRUNCATE rating.workers",
            "CREATE SCHEMA mine",
            "CREATE ROLE another",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()


async def test_the_role_owns_nothing_and_is_no_superuser(rating: Any) -> None:
    connection = await asyncpg.connect(rating.owner_url)
    try:
        owned = await connection.fetchval(
            "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
            " WHERE r.rolname = 'rating'"
        )
        role = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'rating'"
        )
    finally:
        await connection.close()
    assert owned == 0
    assert role is not None
    assert not any(role.values())


async def test_a_second_run_changes_nothing(rating: Any) -> None:
    async def state() -> tuple[Any, ...]:
        connection = await asyncpg.connect(rating.owner_url)
        try:
            tables = await connection.fetch(
                "SELECT oid, relname FROM pg_class WHERE relnamespace = 'rating'::regnamespace"
                " ORDER BY oid"
            )
            version = await connection.fetchval("SELECT version_num FROM rating.alembic_version")
        finally:
            await connection.close()
        return version, [tuple(table) for table in tables]

    before = await state()
    urls = {"database_url": rating.service_url, "migrations_url": rating.owner_url}
    await asyncio.to_thread(migrate, "rating", **urls)
    assert await state() == before


async def test_two_that_migrate_at_once_take_turns(database: Callable[..., Any]) -> None:
    url = database().owner_url
    code = "import sys; from common.migrations import migrate; migrate('rating', "
    code += "database_url=sys.argv[1], migrations_url=sys.argv[1])"
    runs = [await asyncio.create_subprocess_exec(sys.executable, "-c", code, url) for _ in range(3)]
    assert [await run.wait() for run in runs] == [0, 0, 0]


def test_without_the_owners_address_it_says_what_to_set() -> None:
    with pytest.raises(SystemExit, match="TOLLGATE_MIGRATIONS_URL"):
        migrate("rating", database_url="postgresql://x/y", migrations_url="")
