"""Fresh databases, each migrated for one service."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psycopg
from psycopg import sql

from common.migrations import migrate
from stack.environment import as_role, with_database


class Database(NamedTuple):
    """A database of one service. The service's own role owns nothing in it."""

    owner_url: str
    service_url: str


class Databases:
    """Makes databases on the server at `superuser_dsn` and drops them with `drop_all`."""

    def __init__(self, superuser_dsn: str) -> None:
        self._server = superuser_dsn
        self._made: list[str] = []

    def create(self, service: str | None = None) -> Database:
        """A new database, migrated for `service`; without one it is empty."""
        name = f"test_{service or 'empty'}_{uuid.uuid4().hex[:10]}"
        self._execute("CREATE DATABASE {}", name)
        self._made.append(name)
        owner_url = with_database(self._server, name)
        service_url = as_role(owner_url, service) if service else owner_url
        if service:
            # migrate() runs an event loop, so it needs a thread that has none.
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(
                    migrate, service, database_url=service_url, migrations_url=owner_url
                ).result()
        return Database(owner_url, service_url)

    def drop_all(self) -> None:
        while self._made:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._made.pop())

    def _execute(self, statement: str, name: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))  # type: ignore[arg-type]
