"""The embedded servers, which any machine with Python can run."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from common.bus import Record
from common.bus.admin import touch_topics
from common.bus.kafka import KafkaBus
from common.contracts.topics import ALL_TOPICS, RECEIVED
from stack.folders import State
from stack.lifecycle import Stack
from stack.ports import Ports, free_base
from stack.supervisor import DOWN, StackError
from tests.support.eventually import eventually


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(State(tmp_path / ".stack"), free_base())
    yield stack
    stack.clean()


def quiet(_: str) -> None:
    pass


async def test_records_and_rows_go_in_and_come_out(stack: Stack) -> None:
    servers = stack.start_servers(wanted="embedded", say=quiet)
    assert not servers.timescaledb
    assert servers.creates_topics_by_itself
    with psycopg.connect(servers.postgres) as connection:
        assert connection.execute("SELECT 1 + 1").fetchone() == (2,)

    await touch_topics(servers.kafka)
    bus = KafkaBus(servers.kafka)
    await bus.start()
    assert await bus.partitions(RECEIVED.name) == 4
    await bus.append(RECEIVED.name, {1: [Record(key=b"k", value=b"v", headers={})]})
    assert await bus.end_offset(RECEIVED.name, 1) == 1
    await bus.stop()
    assert ALL_TOPICS


async def test_a_second_start_changes_nothing(stack: Stack) -> None:
    first = stack.start_servers(wanted="embedded", say=quiet)
    before = {name: stack.supervisor.record_of(name) for name in ("kafka", "postgres")}
    assert stack.start_servers(wanted="", say=quiet) == first
    assert {name: stack.supervisor.record_of(name) for name in before} == before


async def test_the_mock_broker_keeps_nothing_so_the_databases_begin_anew(stack: Stack) -> None:
    servers = stack.start_servers(wanted="embedded", say=quiet)
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE positions")
    stack.kill("kafka")
    await eventually(lambda: stack.supervisor.states()["kafka"] in DOWN)

    told: list[str] = []
    again = stack.start_servers(wanted="embedded", say=told.append)
    assert any("keeps nothing" in line for line in told)
    with psycopg.connect(again.postgres) as connection:
        rows = connection.execute("SELECT FROM pg_database WHERE datname = 'positions'")
        assert rows.fetchall() == []


async def test_a_killed_database_is_back_with_its_rows(stack: Stack) -> None:
    servers = stack.start_servers(wanted="embedded", say=quiet)
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await eventually(lambda: stack.supervisor.states()["postgres"] == "RUNNING")
    killed = stack.kill("postgres")

    def rows() -> list[tuple[int, ...]]:
        record = stack.supervisor.record_of("postgres")
        assert record is not None
        assert record.pid != killed
        try:
            with psycopg.connect(servers.postgres, connect_timeout=2) as connection:
                return connection.execute("SELECT number FROM kept").fetchall()
        except psycopg.OperationalError:
            return []

    assert await eventually(rows, timeout=30) == [(7,)]


async def test_other_servers_are_refused_while_these_run(stack: Stack) -> None:
    stack.start_servers(wanted="embedded", say=quiet)
    with pytest.raises(StackError, match="make down"):
        stack.start_servers(wanted="kafka:native", say=quiet)


async def test_two_checkouts_run_side_by_side(stack: Stack, tmp_path: Path) -> None:
    one = stack.start_servers(wanted="embedded", say=quiet)
    other = Stack(State(tmp_path / "other" / ".stack"), Ports(stack.ports.base + 200))
    try:
        two = other.start_servers(wanted="embedded", say=quiet)
        assert one.kafka != two.kafka
        assert one.postgres != two.postgres
    finally:
        other.clean()
    with psycopg.connect(one.postgres) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
