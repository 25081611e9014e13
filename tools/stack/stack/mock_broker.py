"""librdkafka's mock cluster as a process of its own: a Kafka for a look, which keeps nothing.

Run as `python -m stack.mock_broker ADDRESS_FILE`. The cluster picks its own port; the address is
written to the file once it listens. It holds the newest few MiB of each partition in memory, makes
topics on first use with four partitions, and forgets everything when it ends.
"""

import signal
import sys
from pathlib import Path

from confluent_kafka import Producer

from stack.folders import State
from stack.program import Program
from stack.readiness import kafka_answers


def prepare(state: State) -> Program:
    """The mock broker as a program. It is not restarted: what pointed into it would be wrong."""
    home = state.root / "mock-kafka"
    home.mkdir(parents=True, exist_ok=True)
    address = address_file(state)
    return Program(
        name="kafka",
        command=(sys.executable, "-m", "stack.mock_broker", str(address)),
        folder=home,
        is_ready=lambda: address.exists() and kafka_answers(address.read_text()),
        restart=False,
        start_seconds=30,
        priority=100,
    )


def address_file(state: State) -> Path:
    return state.root / "mock-kafka" / "bootstrap"


def main() -> None:
    address = Path(sys.argv[1])
    address.unlink(missing_ok=True)
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    listening = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    temporary = address.with_suffix(".new")
    temporary.write_text(listening)
    temporary.replace(address)
    print(f"mock broker at {listening}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
