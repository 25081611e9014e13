"""Migrations: raw SQL through Alembic, one schema, one role and one version table a service.

Alembic is imported where it is used: every process of a service imports this module, few migrate,
and it is a quarter of their start.
"""

import asyncio
from importlib import resources
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

LOCK_ID = 0x70_11_6A_7E
"""Advisory lock: two migrations of one database take turns (roles are the cluster's)."""


def migrate(service: str, *, database_url: str, migrations_url: str, to: str = "head") -> None:
    """Bring the schema of `service` up to date, or to an older version of it.

    Creates the schema and the service's login role (named in `database_url`) where they are
    missing, gives the role its rights, then runs the migrations as the owner.
    """
    from alembic import command
    from alembic.config import Config

    if not migrations_url:
        raise SystemExit("set TOLLGATE_MIGRATIONS_URL: migrations run as the schema's owner")
    asyncio.run(_prepare(service, database_url, migrations_url))
    config = Config()
    config.set_main_option("script_location", str(resources.files(service) / "migrations"))
    config.attributes["service"] = service
    config.attributes["url"] = migrations_url
    command.upgrade(config, to)


def run_env() -> None:
    """What a service's migrations/env.py does."""
    from alembic import context
    from sqlalchemy import create_engine, pool

    config: Any = context.config
    service, url = config.attributes["service"], config.attributes["url"]
    _, _, rest = url.partition("://")
    engine = create_engine(f"postgresql+psycopg://{rest}", poolclass=pool.NullPool)
    with engine.connect() as connection:
        # Two that migrate at once take turns; the second finds nothing left to do.
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_ID})")
        connection.commit()
        context.configure(
            connection=connection,
            version_table="alembic_version",
            version_table_schema=service,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


async def _prepare(service: str, database_url: str, migrations_url: str) -> None:
    parts = urlsplit(database_url)
    role, password = unquote(parts.username or service), unquote(parts.password or "")
    connection = await asyncpg.connect(migrations_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_ID)
            name = await connection.fetchval("SELECT quote_ident($1)", role)
            secret = await connection.fetchval("SELECT quote_literal($1)", password)
            exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
            if not exists:
                await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD {secret}")
            await connection.execute(
                f"""
                CREATE SCHEMA IF NOT EXISTS {service};
                GRANT USAGE ON SCHEMA {service} TO {name};
                ALTER DEFAULT PRIVILEGES IN SCHEMA {service}
                    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {name};
                ALTER DEFAULT PRIVILEGES IN SCHEMA {service}
                    GRANT USAGE, SELECT ON SEQUENCES TO {name};
                """
            )
    finally:
        await connection.close()
