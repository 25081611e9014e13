"""What happens in a run, as values: the same scenario always gives the same run."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.simulation.process import Fault

MIDNIGHT = datetime(2026, 4, 1, tzinfo=UTC)
MIDNIGHT_AT = 1.8
"""When, in seconds of the run, a day and a billing period end."""
BASE_MS = int(MIDNIGHT.timestamp() * 1000) - int(MIDNIGHT_AT * 1000)
FEED_SECONDS = 3.0
FAULTS_SECONDS = 4.5
LEASE_SECONDS = 1.0
IDLE_SECONDS = 2.0
PATIENCE_SECONDS = 30.0

TENANTS = ("acme", "elm", "cedar", "dune")
SOURCES = ("app-1", "app-2", "app-5")
NODES = ("edge-3", "edge-4")


class Action(NamedTuple):
    """`who` does `what` at `at` seconds. One line of the story."""

    at: float
    who: str
    what: str
    about: Any = None


class Struck(NamedTuple):
    """A fault at a gate: the `gate`-th that processes of `slot` passed, at `point`."""

    slot: str
    gate: int
    fault: Fault
    point: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """`faults`: those of a run that happened before; None: at random, from the seed.
    `intensity`: how often something breaks. `skews`: seconds that a host's clock is ahead."""

    seed: int
    actions: tuple[Action, ...]
    workers: dict[str, int]
    skews: dict[str, float]
    same_names: bool
    intensity: float
    read_messages: int
    rate_subscriptions: int
    ledger: str
    faults: tuple[Struck, ...] | None = None

    def with_faults(self, faults: tuple[Struck, ...]) -> "Scenario":
        return replace(self, faults=faults)

    def with_actions(self, actions: tuple[Action, ...]) -> "Scenario":
        return replace(self, actions=actions)


def from_seed(seed: int) -> Scenario:
    """The scenario of a seed."""
    random = Random(f"scenario {seed}")
    hosts = ("api-0", "api-1", *NODES, "rating-0", "rating-1")
    return Scenario(
        seed=seed,
        actions=tuple(sorted(_Script(random).actions(), key=lambda action: action.at)),
        workers={stage: random.choice((1, 2, 2)) for stage in ("deduper", "aggregator", "rating")},
        skews={host: random.choice((0.0, 0.0, -1.5, 1.5, 0.2)) for host in hosts},
        same_names=random.random() < 0.5,
        intensity=random.choice((0.0, 0.5, 1.0, 1.0, 2.0)),
        read_messages=random.choice((1, 2, 4, 8, 50)),
        rate_subscriptions=random.choice((1, 1, 2, 10)),
        ledger=random.choice(("packed", "packed without room", "plain")),
    )


def rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Script:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._sent: list[dict[str, Any]] = []
        self._number = 0

    def actions(self) -> list[Action]:
        random = self._random
        found = [self._request() for _ in range(random.randint(6, 14))]
        for node in NODES[: random.randint(1, 2)]:
            found += [self._node_event(node) for _ in range(random.randint(2, 8))]
            if random.random() < 0.3:
                found.append(Action(self._some_time(), node, "is restored from an old disk"))
        found += self._midnight()
        found.append(Action(self._some_time(), "operator", "defines a meter", "volume"))
        found += [
            Action(at, "operator", "replays dead events") for at in (self._some_time(), 3.5, 5.5)
        ]
        tenant = random.choice(TENANTS)
        kind = random.choice(("subscribes", "is billed now", "ends the subscription"))
        found.append(Action(self._some_time(), tenant, kind))
        for _ in range(random.randint(0, 2)):
            stage = random.choice(("deduper", "aggregator", "rating"))
            down_seconds = round(random.random() * 2, 2)
            found.append(Action(self._some_time(), f"{stage}-0", "stops for a while", down_seconds))
        return found

    def _midnight(self) -> list[Action]:
        """An event without time, directly and by a node, around the end of the day."""
        event = self._event(MIDNIGHT_AT)
        event.pop("time", None)
        event["source"] = SOURCES[2]  # its own way leads to another partition than the node's
        element = msgspec.json.encode(event)
        before, after = sorted(MIDNIGHT_AT + self._random.uniform(-0.3, 0.3) for _ in range(2))
        return [
            Action(round(before, 3), "client", "posts", (element,)),
            Action(round(after, 3), NODES[0], "is given", element),
        ]

    def _some_time(self) -> float:
        return round(self._random.random() * FEED_SECONDS, 3)

    def _request(self) -> Action:
        at = self._some_time()
        events = [self._element(at) for _ in range(self._random.choice((1, 1, 2, 3, 8)))]
        return Action(at, "client", "posts", tuple(events))

    def _node_event(self, node: str) -> Action:
        at = self._some_time()
        own = self._random.random() < 0.6
        return Action(at, node, "sees" if own else "is given", self._element(at, own=own))

    def _element(self, at: float, *, own: bool = False) -> bytes:
        """A new event, one that was sent before, one like it, or a bad one."""
        dice = self._random.random()
        if own or not self._sent or dice > 0.35:
            event = self._event(at)
            if not own:
                self._sent.append(event)
        elif dice > 0.15:
            event = self._random.choice(self._sent)
        elif dice > 0.08:
            event = dict(self._random.choice(self._sent))
            event["data"] = {"bytes": 1, "region": "elsewhere", "user": "u9"}
        elif dice > 0.04:
            event = self._event(at)
            del event[self._random.choice(("id", "source", "type", "subject"))]
        else:
            event = self._event(at) | {"time": _stamp(at + 300 + self._random.random() * 3)}
        return msgspec.json.encode(event)

    def _event(self, at: float) -> dict[str, Any]:
        random = self._random
        self._number += 1
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"e{self._number}",
            "source": random.choice(SOURCES),
            "type": "http.request" if random.random() < 0.95 else "other",
            "subject": random.choice(TENANTS),
            "data": {
                "bytes": random.choice((1, 10, 2000, "many")) if random.random() < 0.2 else 7,
                "region": random.choice(("eu", "us")),
                "user": f"u{random.randint(0, 5)}",
            },
        }
        kind = random.random()
        if kind < 0.5:
            event["time"] = _stamp(at)
        elif kind < 0.75:
            event["time"] = _stamp(at - random.random() * 3 * 3600)
        return event


def _stamp(at: float) -> str:
    return rfc3339(MIDNIGHT + timedelta(seconds=round(at - MIDNIGHT_AT, 3)))
