"""Every variable that a process is given is one that its settings read, and they accept it."""

from importlib import import_module
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from common.settings import ServiceSettings
from stack.environment import Surroundings, migration_environment, process_environment
from stack.ports import Ports
from stack.processes import DATABASES, PROCESSES, Process, process

AROUND = Surroundings(
    ports=Ports(9100),
    kafka="127.0.0.1:9120",
    postgres="postgresql://postgres@127.0.0.1:9132/postgres",
    folder=Path("/state"),
    topic_prefix="x.",
    nginx_log=Path("/log/access.json"),
)
PEERS = {f"TOLLGATE_{name.upper()}_URL" for name in ("collector", *DATABASES)}


def settings_of(service: str) -> type[BaseSettings]:
    """The one settings class that the service's settings module defines."""
    module = import_module(f"{service}.settings")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ServiceSettings)
        and value.__module__ == module.__name__
    ]
    assert len(found) == 1, f"{service}.settings defines {found}"
    return found[0]


@pytest.mark.parametrize("each", PROCESSES, ids=lambda each: each.name)
def test_the_settings_take_what_the_stack_gives(
    each: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = process_environment(each, AROUND)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = settings_of(each.service)()
    fields = {f"TOLLGATE_{name.upper()}" for name in type(settings).model_fields}
    assert set(environment) - PEERS <= fields
    assert settings.model_dump()["port"] == 9100 + each.offset
    assert settings.model_dump()["worker_id"] == each.name


def test_a_service_gets_its_own_role_and_never_the_owner() -> None:
    environment = process_environment(process("rating"), AROUND)
    assert environment["TOLLGATE_DATABASE_URL"] == (
        "postgresql://rating:rating@127.0.0.1:9132/tollgate_rating"
    )
    assert "TOLLGATE_MIGRATIONS_URL" not in environment
    assert migration_environment("rating", AROUND)["TOLLGATE_MIGRATIONS_URL"] == (
        "postgresql://postgres@127.0.0.1:9132/tollgate_rating"
    )


def test_an_edge_node_knows_neither_kafka_nor_a_database() -> None:
    environment = process_environment(process("collector"), AROUND)
    assert not any("KAFKA" in name or "DATABASE" in name for name in environment)
    assert environment["TOLLGATE_NGINX_LOG"] == "/log/access.json"
    assert environment["TOLLGATE_INGEST_URL"] == "http://127.0.0.1:9101"


def test_worker_names_stay_the_same_and_differ_between_processes() -> None:
    names = [process_environment(each, AROUND)["TOLLGATE_WORKER_ID"] for each in PROCESSES]
    assert len(set(names)) == len(names)


def test_an_unknown_process_is_refused_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="aggregator"):
        process("billing")
