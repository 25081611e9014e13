"""Kafka and PostgreSQL of one stack: chosen, prepared, started, ready."""

import json
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from stack import compose, kafka, mock_broker, postgres_wheel, timescaledb
from stack.choice import Choice, Kind
from stack.folders import State
from stack.ports import Ports
from stack.postgres_settings import superuser_dsn
from stack.program import Program
from stack.supervisor import DOWN, StackError, Supervisor
from stack.tuning import LAPTOP, Tuning

Say = Callable[[str], None]
PARTS = ("kafka", "postgres")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are. `kafka` is the bootstrap address, `postgres` the superuser's DSN."""

    choice: Choice
    kafka: str
    postgres: str
    base_port: int

    @property
    def timescaledb(self) -> bool:
        """Whether the server has the extension; otherwise all tables are plain."""
        return self.choice.postgres != "embedded"

    @property
    def creates_topics_by_itself(self) -> bool:
        """The mock broker knows no CreateTopics: a topic begins with its first use."""
        return self.choice.kafka == "embedded"


def start(
    supervisor: Supervisor,
    state: State,
    ports: Ports,
    choice: Choice,
    *,
    java: str | None,
    parts: Collection[str] = PARTS,
    may_fall_back: bool = False,
    tuning: Tuning = LAPTOP,
    say: Say = print,
) -> Servers:
    """Starts what is missing of `parts` and returns when it serves.

    With `may_fall_back` a real server that cannot be provided (no network, say) is replaced by its
    embedded counterpart, and said so; otherwise StackError.
    """
    down = supervisor.states().get("kafka", "STOPPED") in DOWN
    if choice.kafka == "embedded" and down and mock_broker.address_file(state).exists():
        _forget(supervisor, state, say)
    with ThreadPoolExecutor(max_workers=2) as together:
        kinds = dict(
            together.map(
                lambda part: (
                    part,
                    _start_part(
                        part,
                        choice.kafka if part == "kafka" else choice.postgres,
                        (supervisor, state, ports, java, tuning, may_fall_back, say),
                    ),
                ),
                sorted(parts),
            )
        )
    choice = replace(
        choice,
        kafka=kinds.get("kafka", choice.kafka),
        postgres=kinds.get("postgres", choice.postgres),
    )
    servers = Servers(
        choice, _bootstrap(choice, state, ports), superuser_dsn(ports.postgres), ports.base
    )
    save(state, servers)
    return servers


def save(state: State, servers: Servers) -> None:
    state.about.write_text(json.dumps(asdict(servers), indent=1))


def load(state: State) -> Servers | None:
    """The servers that were started last, or None; whether they still run is another question."""
    try:
        found = json.loads(state.about.read_text())
        choice = Choice.from_json(found["choice"])
        return Servers(choice, found["kafka"], found["postgres"], int(found["base_port"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


_Context = tuple[Supervisor, State, Ports, str | None, Tuning, bool, Say]


def _start_part(part: str, kind: Kind, context: _Context) -> Kind:
    supervisor, state, ports, java, tuning, may_fall_back, say = context
    if kind == "compose":
        compose.start_servers(state, ports, [part], say)
        return kind
    try:
        program = _prepare(part, kind, state, ports, java, tuning)
    except StackError as error:
        if kind == "embedded" or not may_fall_back:
            raise
        say(f"{part}: {error}; falling back to the embedded server")
        kind = "embedded"
        program = _prepare(part, kind, state, ports, java, tuning)
    if supervisor.ensure(program):
        say(f"{part}: starting ({kind})")
    supervisor.wait_ready(program)
    return kind


def _prepare(
    part: str, kind: Kind, state: State, ports: Ports, java: str | None, tuning: Tuning
) -> Program:
    if part == "kafka":
        if kind == "embedded":
            return mock_broker.prepare(state)
        if java is None:
            raise StackError("there is no Java of 17 or newer")
        return kafka.prepare(state, ports, java, tuning)
    if kind == "embedded":
        return postgres_wheel.prepare(state, ports, tuning)
    return timescaledb.prepare(state, ports, tuning)


def _bootstrap(choice: Choice, state: State, ports: Ports) -> str:
    if choice.kafka == "embedded" and mock_broker.address_file(state).exists():
        return mock_broker.address_file(state).read_text()
    return f"127.0.0.1:{ports.kafka}"


def _forget(supervisor: Supervisor, state: State, say: Say) -> None:
    """A mock broker that is started again begins empty, so positions, tables and spools from
    before point at nothing."""
    kept = [
        path
        for path in (
            state.root / "postgres" / "data",
            state.outside / "postgres" / "data",
            state.root / "timescaledb" / "root" / "data",
            state.services,
        )
        if path.exists()
    ]
    if not kept:
        return
    say("kafka: the mock broker keeps nothing, so the stack begins anew, databases included")
    supervisor.stop_programs(supervisor.states())
    for path in kept:
        shutil.rmtree(path, ignore_errors=True)
    mock_broker.address_file(state).unlink()
