"""docker-compose.yml and the Dockerfiles agree with the services' settings; no engine needed."""

import re
from typing import Any

import pytest
import yaml

from common.contracts.topics import ALL_TOPICS
from stack import compose
from stack.folders import CHECKOUT, State
from stack.ports import Ports
from stack.processes import DATABASES, PROCESSES, Process
from tests.unit.stack.test_environment import settings_of

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILES = {
    service: (CHECKOUT / "services" / service / "Dockerfile").read_text()
    for service in ("collector", *DATABASES)
}


@pytest.mark.parametrize("each", PROCESSES, ids=lambda each: each.name)
def test_each_process_runs_as_the_stack_runs_it(each: Process) -> None:
    service = SERVICES[each.name]
    assert service["build"] == {
        "context": ".",
        "dockerfile": f"services/{each.service}/Dockerfile",
    }
    assert service["command"] == [each.command]
    assert service["environment"]["TOLLGATE_PORT"] == 8100 + each.offset
    assert service["environment"]["TOLLGATE_WORKER_ID"] == each.name


@pytest.mark.parametrize("each", PROCESSES, ids=lambda each: each.name)
def test_each_variable_is_a_setting(each: Process) -> None:
    known = {f"TOLLGATE_{name.upper()}" for name in settings_of(each.service).model_fields}
    peers = {name for name in SERVICES[each.name]["environment"] if name.endswith("_URL")}
    given = set(SERVICES[each.name]["environment"]) - (peers - known) - {"TOLLGATE_PEER_TOKEN"}
    assert given <= known


@pytest.mark.parametrize("service", DATABASES)
def test_a_service_starts_after_its_migration_and_the_topics(service: str) -> None:
    migration = SERVICES[f"migrate-{service}"]
    assert migration["command"] == ["migrate"]
    owner = migration["environment"]["TOLLGATE_MIGRATIONS_URL"]
    assert owner == "postgresql://postgres@postgres:5432/tollgate"
    for each in PROCESSES:
        if each.service == service:
            awaited = SERVICES[each.name]["depends_on"]
            assert set(awaited) == {"topics", f"migrate-{service}"}
            assert all(
                how == {"condition": "service_completed_successfully"} for how in awaited.values()
            )
            url = SERVICES[each.name]["environment"]["TOLLGATE_DATABASE_URL"]
            assert url == migration["environment"]["TOLLGATE_DATABASE_URL"]
            assert url == f"postgresql://{service}@postgres:5432/tollgate"


def test_everything_is_published_on_loopback_by_the_stacks_variables() -> None:
    variables = compose.environment(Ports(9100))
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 8
    for port in published:
        found = re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:\d+", port)
        assert found, port
        assert int(variables[found[1]]) - 9100 == int(found[2]) - 8100


def test_servers_are_the_versions_and_settings_of_the_native_stack() -> None:
    kafka, postgres = SERVICES["kafka"], SERVICES["postgres"]
    assert kafka["image"] == "apache/kafka:4.2.0"
    assert kafka["environment"]["KAFKA_LOG_MESSAGE_TIMESTAMP_TYPE"] == "LogAppendTime"
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert postgres["image"].startswith("timescale/timescaledb:2.19")
    assert postgres["image"].endswith("-oss"), "the Apache edition, as everywhere"
    assert all("healthcheck" in server for server in (kafka, postgres))
    assert ALL_TOPICS
    assert SERVICES["topics"]["command"] == ["topics", "apply"]


def test_services_beyond_loopback_need_a_token(tmp_path: Any) -> None:
    access = compose.access(State(tmp_path / ".stack"))
    assert compose.access(State(tmp_path / ".stack")) == access, "the token is kept"
    assert (tmp_path / ".stack" / "compose-token").stat().st_mode & 0o077 == 0
    for each in PROCESSES:
        environment = SERVICES[each.name]["environment"]
        assert environment["TOLLGATE_HOST"] == "0.0.0.0"
        assert all(environment[name].startswith(f"${{{name}:?") for name in access)


@pytest.mark.parametrize("service", DOCKERFILES)
def test_images_are_alike_and_run_without_root(service: str) -> None:
    text = DOCKERFILES[service]
    assert "FROM python:3.11-slim\n" in text
    assert f"-c constraints.txt ./libs/common ./services/{service}\n" in text
    assert "\nUSER tollgate\n" in text
    assert f'ENTRYPOINT ["tollgate-{service}"]' in text
    assert "HEALTHCHECK" in text
    port = 8100 + ("collector", *DATABASES).index(service)
    assert f"EXPOSE {port}\n" in text


def test_images_differ_in_names_alone() -> None:
    def skeleton(service: str) -> str:
        text = DOCKERFILES[service].replace(service, "SERVICE")
        return re.sub(r"\b81\d\d\b", "PORT", text)

    assert len({skeleton(service) for service in DATABASES}) == 1
