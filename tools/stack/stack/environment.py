"""The environment of every process of a stack: the TOLLGATE_* variables, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from stack.ports import Ports
from stack.processes import DATABASES, Process

SERVICES = ("collector", "ingest", "aggregator", "rating", "invoicer", "throttler")
"""In the order of their ports, counted from the base."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the processes of one stack share.

    `postgres` is the superuser's DSN of a server; each service has its own database in it, named
    `database_prefix` + service. `folder` holds what processes keep themselves.
    """

    ports: Ports
    kafka: str
    postgres: str
    folder: Path
    topic_prefix: str = ""
    database_prefix: str = "tollgate_"
    nginx_log: Path | None = None
    node: str = "edge-1"

    def service_url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports.service(SERVICES.index(service))}"

    def database(self, service: str) -> str:
        return self.database_prefix + service

    def owner_dsn(self, service: str) -> str:
        return with_database(self.postgres, self.database(service))

    def service_dsn(self, service: str) -> str:
        return as_role(self.owner_dsn(service), service)


LOCAL_CHOICES: Mapping[str, Mapping[str, str]] = {
    "invoicer": {
        "TOLLGATE_PATIENCE_SECONDS": "30",
        "TOLLGATE_GRACE_SECONDS": "0",
        "TOLLGATE_RUN_SECONDS": "0.1",
        "TOLLGATE_SELLER_NAME": "Tollgate Example Ltd",
        "TOLLGATE_SELLER_ADDRESS": '["1 Gate Road", "1010 Sampletown"]',
        "TOLLGATE_SELLER_VAT_ID": "XX123456789",
    },
}
"""What one machine's stack sets otherwise than production: nobody waits hours here for a node that
was switched off, and invoices need a name."""


def process_environment(process: Process, around: Surroundings) -> dict[str, str]:
    """The variables that `process` needs, and no others."""
    environment = {
        "TOLLGATE_HOST": "127.0.0.1",
        "TOLLGATE_PORT": str(around.ports.service(process.offset)),
        "TOLLGATE_WORKER_ID": process.name,
    }
    environment |= {
        f"TOLLGATE_{service.upper()}_URL": around.service_url(service) for service in SERVICES
    }
    if process.service in DATABASES:
        environment |= {
            "TOLLGATE_KAFKA": around.kafka,
            "TOLLGATE_TOPIC_PREFIX": around.topic_prefix,
            "TOLLGATE_DATABASE_URL": around.service_dsn(process.service),
        }
    else:
        environment |= {
            "TOLLGATE_NODE": around.node,
            "TOLLGATE_SPOOL_DIR": str(around.folder / process.name),
        }
        if around.nginx_log is not None:
            environment["TOLLGATE_NGINX_LOG"] = str(around.nginx_log)
    return environment | dict(LOCAL_CHOICES.get(process.service, {}))


def migration_environment(service: str, around: Surroundings) -> dict[str, str]:
    """The variables of `tollgate-<service> migrate`, which alone sees the owner's DSN."""
    return {
        "TOLLGATE_DATABASE_URL": around.service_dsn(service),
        "TOLLGATE_MIGRATIONS_URL": around.owner_dsn(service),
    }


def with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def as_role(dsn: str, role: str) -> str:
    """The DSN with another role; its password is its name (the servers trust loopback anyway)."""
    parts = urlsplit(dsn)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{role}@{address}"))
