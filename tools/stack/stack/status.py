"""`make status`: every process with its id, port, health and lag."""

from dataclasses import dataclass
from typing import Literal

import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from psycopg import sql
from rich.table import Table

from stack import records
from stack.environment import Surroundings
from stack.processes import PROCESSES
from stack.readiness import http_answers, kafka_answers, postgres_answers
from stack.servers import Servers
from stack.supervisor import Supervisor

Health = Literal["ready", "not ready", "down"]
STAGES = {
    "ingest-deduper": "ingest",
    "aggregator": "aggregator",
    "rating": "rating",
    "invoicer": "invoicer",
    "throttler": "throttler",
}
"""Processes that read topics, and the schema where their positions are."""


@dataclass(frozen=True, slots=True)
class Row:
    """`lag` counts records that the process has still to read; None where it reads nothing."""

    name: str
    pid: int | None
    port: int | None
    state: str
    health: Health
    lag: int | None


def rows(supervisor: Supervisor, servers: Servers, around: Surroundings) -> list[Row]:
    states = supervisor.states()
    lags = stage_lags(servers, around)
    found: list[Row] = []

    def add(name: str, port: int | None, ready: bool) -> None:
        record = supervisor.record_of(name)
        alive = records.process_of(record) is not None
        in_docker = servers.choice.kafka == "compose" and name not in states
        health: Health = "ready" if ready else "not ready" if alive or in_docker else "down"
        state = "DOCKER" if in_docker and ready else states.get(name, "STOPPED")
        pid = record.pid if record is not None and alive else None
        found.append(Row(name, pid, port, state, health, lags.get(STAGES.get(name, ""))))

    kafka_port = int(servers.kafka.rpartition(":")[2])
    add("kafka", kafka_port, kafka_answers(servers.kafka))
    add("postgres", around.ports.postgres, postgres_answers(servers.postgres))
    for process in PROCESSES:
        port = around.ports.service(process.offset)
        add(process.name, port, http_answers(f"http://127.0.0.1:{port}/readyz"))
    return found


def stage_lags(servers: Servers, around: Surroundings) -> dict[str, int]:
    """For each service's schema the records between its positions and the ends of its topics."""
    positions: dict[str, dict[tuple[str, int], int]] = {}
    for schema in STAGES.values():
        try:
            with psycopg.connect(around.owner_dsn(schema), connect_timeout=2) as connection:
                statement = sql.SQL("SELECT topic, partition, next_offset FROM {}").format(
                    sql.Identifier(schema, "partition_progress")
                )
                read = connection.execute(statement).fetchall()
        except psycopg.Error:
            continue
        positions[schema] = {(topic, number): offset for topic, number, offset in read}
    wanted = {
        TopicPartition(around.topic_prefix + topic, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
        for places in positions.values()
        for topic, number in places
    }
    if not wanted:
        return {}
    client = AdminClient({"bootstrap.servers": servers.kafka, "log_level": 0})
    try:
        answers = client.list_offsets(wanted, request_timeout=5)
        ends = {
            (place.topic.removeprefix(around.topic_prefix), place.partition): answer.result().offset
            for place, answer in answers.items()
        }
    except KafkaException:
        return {}
    return {
        schema: sum(max(0, ends.get(place, offset) - offset) for place, offset in places.items())
        for schema, places in positions.items()
    }


def table(found: list[Row]) -> Table:
    shown = Table(title="Tollgate", title_justify="left")
    for heading in ("process", "pid", "port", "state", "health", "lag"):
        shown.add_column(heading, justify="right" if heading in ("pid", "port", "lag") else "left")
    colours = {"ready": "green", "not ready": "yellow", "down": "red"}
    for row in found:
        shown.add_row(
            row.name,
            str(row.pid or "-"),
            str(row.port or "-"),
            row.state.lower(),
            f"[{colours[row.health]}]{row.health}[/]",
            "-" if row.lag is None else f"{row.lag:,}",
        )
    return shown
