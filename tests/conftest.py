"""Fixtures for tests on real servers, and the list of what this machine could not run."""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from common.bus.admin import apply_topics, touch_topics
from tests.support.databases import Database, Databases
from tests.support.processes import ServiceProcess
from tests.support.servers import SessionServers
from tests.support.topics import delete_topics

SERVERS = pytest.StashKey[SessionServers]()
NOT_RUN = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> SessionServers:
    """Kafka and PostgreSQL of this session; each starts when first asked for."""
    return request.config.stash[SERVERS]


@pytest.fixture(scope="session")
def kafka(servers: SessionServers) -> str:
    """The bootstrap address of a running broker."""
    return servers.kafka()


@pytest.fixture(scope="session")
def postgres(servers: SessionServers) -> str:
    """The DSN of a superuser on a running PostgreSQL."""
    return servers.postgres()


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest, servers: SessionServers) -> Iterator[str]:
    """A prefix for topic names that nobody else uses; no topic exists yet.

    Topics under it are deleted with the test: a broker with thousands of them becomes slow.
    """
    prefix = f"t{uuid.uuid4().hex[:10]}."
    yield prefix
    if "kafka" in request.fixturenames and servers.kafka_is_real:
        delete_topics(servers.kafka(), prefix)


@pytest.fixture
async def topics(servers: SessionServers, kafka: str, topic_prefix: str) -> str:
    """A topic prefix under which all topics exist."""
    if servers.kafka_is_real:
        await apply_topics(kafka, prefix=topic_prefix)
    else:
        await touch_topics(kafka, prefix=topic_prefix)
    return topic_prefix


@pytest.fixture(scope="session")
def database(postgres: str) -> Iterator[Callable[..., Database]]:
    """Makes a fresh database: `database("rating")` is migrated for rating, `database()` empty.

    It lives until the end of the session.
    """
    databases = Databases(postgres)
    yield databases.create
    databases.drop_all()


@pytest.fixture
async def service_process(
    servers: SessionServers, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[..., ServiceProcess]]:
    """Prepares processes: `service_process("tollgate-ingest", "api", environment={...})`.

    Call `await process.start()`. All end with the test; their logs are shown when it fails.
    """
    made: list[ServiceProcess] = []

    def prepare(
        *command: str, environment: Mapping[str, str] | None = None, name: str | None = None
    ) -> ServiceProcess:
        folder: Path = servers.folder / "processes"
        unique = f"{name or command[0]}-{uuid.uuid4().hex[:6]}"
        made.append(ServiceProcess(command, environment or {}, folder, unique))
        return made[-1]

    yield prepare
    for process in made:
        await process.stop()
        request.node.add_report_section("call", f"log of {process.name}", process.output()[-5000:])


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = SessionServers()
    config.stash[NOT_RUN] = []


def pytest_unconfigure(config: pytest.Config) -> None:
    servers = config.stash.get(SERVERS, None)
    if servers is not None:
        servers.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):  # type: ignore[attr-defined]
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)  # type: ignore[attr-defined]
        item.config.stash[NOT_RUN].append((item.nodeid, reason.removeprefix("Skipped: ")))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On the native stack nothing may be skipped: a skip there fails the session."""
    servers = session.config.stash[SERVERS]
    if session.config.stash[NOT_RUN] and servers.choice_is_native and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    servers, not_run = config.stash[SERVERS], config.stash[NOT_RUN]
    terminalreporter.section("servers and what was not run")
    for line in dict.fromkeys(servers.log):
        terminalreporter.write_line(line)
    if not servers.log:
        given = [
            name
            for name in ("TOLLGATE_TEST_KAFKA", "TOLLGATE_TEST_POSTGRES")
            if os.environ.get(name)
        ]
        terminalreporter.write_line(f"no servers started here; given: {', '.join(given) or 'none'}")
    for node, reason in not_run:
        terminalreporter.write_line(f"not run on this machine: {node}: {reason}")
    if not not_run:
        terminalreporter.write_line("nothing was left out")
    elif servers.choice_is_native:
        terminalreporter.write_line("the native stack may leave nothing out: the session fails")
