"""The real servers as plain processes; needs Java, Kafka's jars and root on Debian."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stack.choice import choose, parse_wanted
from stack.folders import State
from stack.lifecycle import Stack
from stack.machine import look
from stack.ports import free_base
from stack.prepare import prepare_topics
from stack.readiness import kafka_answers
from stack.supervisor import StackError
from tests.support.eventually import eventually


def quiet(_: str) -> None:
    pass


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    try:
        choose(look(), parse_wanted("native"))
    except StackError as error:
        pytest.skip(str(error))
    stack = Stack(State(tmp_path / ".stack"), free_base())
    yield stack
    stack.clean()


async def test_timescaledb_serves_and_its_data_outlive_a_stop(stack: Stack) -> None:
    servers = stack.start_servers(wanted="postgres:native", parts=["postgres"], say=quiet)
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
        connection.execute("CREATE TABLE usage (at timestamptz NOT NULL, amount numeric)")
        connection.execute("SELECT create_hypertable('usage', 'at')")
        connection.execute("INSERT INTO usage VALUES (now(), 1.5)")
        license = connection.execute("SHOW timescaledb.license").fetchone()
        assert license == ("apache",)
    stack.down()
    again = stack.start_servers(wanted="postgres:native", parts=["postgres"], say=quiet)
    with psycopg.connect(again.postgres) as connection:
        assert connection.execute("SELECT count(*) FROM usage").fetchone() == (1,)


async def test_a_killed_broker_is_back_by_itself(stack: Stack) -> None:
    import asyncio

    servers = stack.start_servers(wanted="kafka:native", parts=["kafka"], say=quiet)
    await asyncio.to_thread(prepare_topics, servers)
    await eventually(lambda: stack.supervisor.states()["kafka"] == "RUNNING")
    killed = stack.kill("kafka")

    def is_back() -> bool:
        record = stack.supervisor.record_of("kafka")
        assert record is not None
        return record.pid != killed and kafka_answers(servers.kafka)

    await eventually(is_back, timeout=60)
    await asyncio.to_thread(prepare_topics, servers)
