"""What must exist before the services start: topics, and each service's database and schema."""

import asyncio
from collections.abc import Iterable

import psycopg
from psycopg import sql

from common.bus.admin import apply_topics, touch_topics
from common.migrations import migrate
from stack.environment import Surroundings
from stack.processes import DATABASES
from stack.servers import Servers


def prepare_topics(servers: Servers, prefix: str = "") -> None:
    """Makes the topics of common's contracts that do not exist yet."""
    apply = touch_topics if servers.creates_topics_by_itself else apply_topics
    asyncio.run(apply(servers.kafka, prefix=prefix))


def prepare_databases(around: Surroundings, services: Iterable[str] = DATABASES) -> None:
    """Makes the databases that do not exist yet and brings every schema up to date.

    This is `tollgate-<service> migrate` for each, without starting five interpreters.
    """
    wanted = list(services)
    with psycopg.connect(around.postgres, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        existing = {row[0] for row in rows}
        for service in wanted:
            if around.database(service) not in existing:
                name = sql.Identifier(around.database(service))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    for service in wanted:
        migrate(
            service,
            database_url=around.service_dsn(service),
            migrations_url=around.owner_dsn(service),
        )
