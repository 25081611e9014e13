"""A one-node Kafka broker (KRaft) as a plain process, from Maven Central's jars."""

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from stack.folders import State
from stack.kafka_jars import HOME, KAFKA_VERSION, ensure_jars
from stack.ports import Ports
from stack.program import Program
from stack.readiness import kafka_answers
from stack.supervisor import StackError
from stack.tuning import LAPTOP, Tuning

HEAP_MEBIBYTES = 512


def properties(ports: Ports, data: Path, doors: Mapping[int, int] | None = None) -> dict[str, str]:
    """The broker's settings: one node, loopback only, broker time on every record, no topic made
    by accident.

    `doors` are more listeners: the port to listen on, and the one to tell clients that came
    through it, where something between the two passes their bytes on.
    The broker's session is as long as a killed broker waits before it is back, and must outlast
    the pauses of a busy machine: a broker that is fenced and unfenced stops its partitions.
    """
    address = f"PLAINTEXT://127.0.0.1:{ports.kafka}"
    controller = f"CONTROLLER://127.0.0.1:{ports.kafka_controller}"
    doors = doors or {}
    names = {port: f"DOOR{number}" for number, port in enumerate(doors)}
    listeners = [address, controller, *(f"{names[p]}://127.0.0.1:{p}" for p in doors)]
    told = [address, controller, *(f"{names[p]}://127.0.0.1:{doors[p]}" for p in doors)]
    protocols = ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT"]
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports.kafka_controller}",
        "listeners": ",".join(listeners),
        "advertised.listeners": ",".join(told),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(
            [*protocols, *(f"{name}:PLAINTEXT" for name in names.values())]
        ),
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        "num.network.threads": "2",
        "num.io.threads": "2",
        "log.segment.bytes": "67108864",
        "log.message.timestamp.type": "LogAppendTime",
        "log.cleaner.dedupe.buffer.size": "33554432",
        "message.max.bytes": "8388608",
        "replica.fetch.max.bytes": "8388608",
        "broker.session.timeout.ms": "6000",
        "broker.heartbeat.interval.ms": "1000",
        "log.index.size.max.bytes": "1048576",
        "log.segment.delete.delay.ms": "1000",
    } | {f"listener.name.{name.lower()}.num.network.threads": "1" for name in names.values()}


def prepare(
    state: State,
    ports: Ports,
    java: str,
    tuning: Tuning = LAPTOP,
    doors: Mapping[int, int] | None = None,
) -> Program:
    """Fetches the jars, writes the settings, formats the storage the first time; the program."""
    jars = ensure_jars()
    home = state.root / "kafka"
    data = home / f"data-{KAFKA_VERSION}"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "server.properties"
    lines = (f"{name}={value}\n" for name, value in properties(ports, data, doors).items())
    settings.write_text("".join(lines))
    logging = home / "log4j2.properties"
    logging.write_text((HOME / "log4j2.conf").read_text())
    quick = () if tuning.jit_fully else ("-XX:TieredStopAtLevel=1",)
    run = (java, "-XX:+UseSerialGC", *quick, "-Xshare:auto")
    classes = ("-cp", f"{jars}/*")
    if not (data / "meta.properties").exists():
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        identity = "k" + identity[1:]  # a leading dash would read as an option
        command = [
            *run,
            *classes,
            *("kafka.tools.StorageTool", "format", "--standalone"),
            *("-t", identity, "-c", str(settings)),
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
            raise StackError(f"Kafka's storage could not be formatted: {said[-500:]}")
    bootstrap = f"127.0.0.1:{ports.kafka}"
    return Program(
        name="kafka",
        command=(
            *run,
            *(f"-Xms{HEAP_MEBIBYTES // 2}m", f"-Xmx{HEAP_MEBIBYTES}m"),
            f"-Dlog4j2.configurationFile={logging}",
            f"-Dkafka.logs.dir={state.logs}",
            *classes,
            *("kafka.Kafka", str(settings)),
        ),
        folder=home,
        environment={"LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")},
        is_ready=lambda: kafka_answers(bootstrap),
        ports=(ports.kafka, ports.kafka_controller, *(doors or {})),
        start_seconds=90,
        priority=100,
    )
